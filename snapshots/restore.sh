#!/bin/sh
# Puts the files of this restore point back, without Python and without harden-tui:
# content, owner, mode, links and absence. Needs a POSIX shell and coreutils, nothing else. Flags,
# ACLs and extended attributes need chattr, setfacl and setfattr; where one of these is missing and
# a file had such a thing, that is said. May be run again and again.
#
#     sh restore.sh            on the machine itself
#     sh restore.sh /mnt       on a disk mounted at /mnt
#
# Nothing is deleted: what was not there then is moved to set-aside.N beside this script.
#
# It works as root in directories of other users, so it follows no link of theirs. It enters the
# directory of each entry, sees that it came to where it meant to (a link on the way would have led
# elsewhere), and names the entry as ./name there. What remains: between the look at a file and the
# chmod, setfacl or chattr of it, which have no option against links, the owner of its directory may
# put a link in its place. Contents, owners and whole directories have no such moment.
set -u
umask 077
LC_ALL=C
export LC_ALL

prefix=${1:-}
prefix=${prefix%/}
here=$(cd "$(dirname "$0")" && pwd) || exit 1
objects=$here/../../objects
if [ ! -f "$here/restore.list" ] || [ ! -d "$objects" ]; then
    echo "restore.sh: $here/restore.list or $objects is missing; nothing was changed." >&2
    exit 1
fi
unset CDPATH
if [ -n "$prefix" ]; then
    if ! cd -P -- "$prefix" 2>/dev/null; then
        echo "restore.sh: $prefix is no directory; nothing was changed." >&2
        exit 1
    fi
    prefix=${PWD%/}
fi

number=1
while [ -e "$here/set-aside.$number" ]; do number=$((number + 1)); done
aside=$here/set-aside.$number
work=$here/.work.$$
mkdir "$work" || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
problems=0
changed=0

has() { command -v "$1" >/dev/null 2>&1; }
chattr=; has chattr && has lsattr && chattr=yes
setfacl=; has setfacl && has getfacl && setfacl=yes
setfattr=; has setfattr && has getfattr && setfattr=yes
newline='
'
mark=$(printf '\001')

problem() {
    problems=$((problems + 1))
    echo "restore.sh: $*" >&2
}

# plain WORD: the name that WORD stands for, in $name (a newline at its end survives).
plain() {
    case $1 in
        *\\*) name=$(printf '%bx' "$1") && name=${name%x} ;;
        *) name=$1 ;;
    esac
}

# one_line NAME: the name without newlines, in $line; many_lines LINE: back again, in $name.
one_line() {
    line=$1
    while case $line in *"$newline"*) ;; *) false ;; esac; do
        line=${line%%"$newline"*}$mark${line#*"$newline"}
    done
}

many_lines() {
    name=$1
    while case $name in *"$mark"*) ;; *) false ;; esac; do
        name=${name%%"$mark"*}$newline${name#*"$mark"}
    done
}

unlock() {
    [ -n "$chattr" ] && [ ! -L "$1" ] && chattr -i -a -- "$1" 2>/dev/null
    return 0
}

# --- the way to an entry -------------------------------------------------------------------------

# is_roots LINK: whether nobody but root can have put it there, or anything on the way to it.
is_roots() {
    above=$1
    while :; do
        set -- $(stat -c '%u %a' -- "${above:-/}") - -
        [ "$1" = 0 ] || [ "$1" = "$me" ] || return 1
        if [ ! -L "$above" ]; then
            case $2 in
                [1357]???) ;; # as /tmp: what root has there stays root's
                *[2367] | *[2367]?) return 1 ;;
            esac
        fi
        [ "$above" != "$prefix" ] || return 0
        above=${above%/*}
    done
}

# real_way DIRECTORY: where it is without links, in $real. A link of root's is followed, as that
# of a /home on another disk; where others could have made one it fails.
real_way() {
    real=$prefix
    way=${1#"$prefix"}/
    links=0
    while [ -n "$way" ]; do
        step=${way%%/*}
        way=${way#*/}
        case $step in
            '' | .) ;;
            ..) [ "$real" = "$prefix" ] || real=${real%/*} ;;
            *)
                if [ -L "$real/$step" ]; then
                    links=$((links + 1))
                    [ "$links" -le 40 ] && is_roots "$real/$step" || return 1
                    step=$(readlink -- "$real/$step"; echo x)
                    way=${step%"$newline"x}/$way
                    case $step in /*) real=$prefix ;; esac
                else
                    real=$real/$step
                fi
                ;;
        esac
    done
}

# find_top FILE: the outermost root in which it lies, in $top, and where the directory of that root
# really is, in $above_top. Below a root no link is followed: the restore point went through none.
find_top() {
    case $1 in "$top" | "$top"/*) return ;; esac
    one_line "$1"
    top=$1
    while IFS= read -r root; do
        case $line in
            "$root" | "$root"/*)
                many_lines "$root"
                top=$name
                break
                ;;
        esac
    done <"$work/roots"
    top_is_safe=
    if real_way "${top%/*}"; then top_is_safe=yes; fi
    above_top=$real
}

# enter DIRECTORY: fails where that leads elsewhere, whatever was put in its place meanwhile.
enter() { cd -P -- "${1:-/}" 2>/dev/null && [ "$PWD" = "${1:-/}" ]; }

# go_to FILE: into its directory; it is $item there.
go_to() {
    find_top "$1"
    [ -n "$top_is_safe" ] || return 1
    item=./${1##*/}
    way=${1#"${top%/*}"}
    enter "$above_top${way%/*}"
}

# go_into DIRECTORY: it is $item, too, but cannot be exchanged any more.
go_into() {
    go_to "$1" && enter "${PWD%/}/${1##*/}" && item=.
}

# is_listed LIST LINE: whether it is or lies below one of the lines of the list.
is_listed() {
    [ -s "$work/$1" ] || return 1
    while IFS= read -r listed; do
        case $2 in "$listed" | "$listed"/*) return 0 ;; esac
    done <"$work/$1"
    return 1
}

# is_left LINE: whether it lies below a directory that the restore point does not cover.
is_left() { [ -s "$work/left" ] && is_listed left "${1%/*}"; }

# refuse FILE WORDS: it and what is below it are left alone; said once.
refuse() {
    problem "$1 $2; it was left alone."
    one_line "$1"
    printf '%s\n' "$line" >>"$work/refused"
}

is_refused() {
    [ -s "$work/refused" ] || return 1
    one_line "$1"
    is_listed refused "$line"
}

# is_metadata FILE: whether it lies in a tree of which only owners and modes were kept.
is_metadata() {
    one_line "$1"
    metadata=
    while IFS= read -r root; do
        # Sorted: of two that hold it the inner one is the later.
        case $line in "${root#* }" | "${root#* }"/*) metadata=${root%% *} ;; esac
    done <"$work/kinds"
    [ "$metadata" = metadata ]
}

# is_kind: whether what is at $item is of the kind that was there.
is_kind() {
    if [ "$kind" = symlink ]; then [ -L "$item" ]; return; fi
    [ ! -L "$item" ] || return 1
    case $kind in
        dir) [ -d "$item" ] ;;
        file) [ -f "$item" ] ;;
        fifo) [ -p "$item" ] ;;
        char) [ -c "$item" ] ;;
        block) [ -b "$item" ] ;;
        socket) [ -S "$item" ] ;;
    esac
}

is_there() { [ -L "$item" ] || [ -e "$item" ]; }

# set_aside: $item, which is $file.
set_aside() {
    unlock .
    unlock "$item"
    mkdir -p "$aside$(dirname "$file")" && mv -- "$item" "$aside$file" ||
        problem "$file could not be moved away."
    changed=$((changed + 1))
}

# below DIRECTORY: every entry below it, a line each.
below() {
    for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        [ -L "$entry" ] || [ -e "$entry" ] || continue
        one_line "$entry"
        printf '%s\n' "$line"
        if [ -d "$entry" ] && [ ! -L "$entry" ] && ! is_left "$line/"; then below "$entry"; fi
    done
}

# each FUNCTION: call it for every entry of the list, directories before what they hold.
each() {
    while read -r word value; do
        [ "$word" = chunk ] || continue
        chunk=$objects/$(printf '%.2s' "$value")/$value
        if [ "$(sha256sum <"$chunk" 2>/dev/null | cut -d ' ' -f 1)" != "$value" ]; then
            problem "The list $chunk is missing or was altered; its files were left alone."
            continue
        fi
        while read -r kind mode uid gid flags rdev size mtime sha path target xattrs acl; do
            case $kind in '#'*) continue ;; esac
            plain "$path"
            file=$prefix$name
            "$1"
        done <"$chunk"
    done <"$here/restore.list"
}

# --- first: what stands in the way ---------------------------------------------------------------

remember() {
    one_line "$file"
    printf '%s\n' "$line" >>"$work/wanted"
}

open_up() {
    [ "$kind" = dir ] && go_into "$file" && unlock .
    return 0
}

# --- then: what shall be there -------------------------------------------------------------------

put_back() {
    if is_refused "$file"; then return 0; fi
    if ! go_to "$file"; then
        refuse "${file%/*}" "is not there, or a link or another user stands in the way to it"
        return 0
    fi
    case $kind in
        dir)
            if is_kind; then return 0; fi
            if is_there; then
                # What was in it is not known, so it cannot be made anew.
                if is_metadata "$file"; then refuse "$file" "is no directory any more"; return 0; fi
                set_aside
            fi
            mkdir -- "$item" || problem "The directory $file could not be made."
            changed=$((changed + 1))
            ;;
        file) put_back_file ;;
        symlink)
            plain "$target"
            if [ -L "$item" ] && [ "$(readlink -- "$item"; echo x)" = "$name
x" ]; then return 0; fi
            if is_there; then set_aside; fi
            ln -s -n -- "$name" "$item" || problem "The link $file could not be made."
            changed=$((changed + 1))
            ;;
        fifo)
            if is_kind; then return 0; fi
            if is_there; then set_aside; fi
            mkfifo -- "$item" || problem "The pipe $file could not be made."
            ;;
        char | block)
            if is_kind; then return 0; fi
            if [ "$kind" = char ]; then letter=c; else letter=b; fi
            if is_there; then set_aside; fi
            # Linux: eight bits of the minor number, twelve of the major, the rest of the minor
            mknod -- "$item" $letter $(((rdev >> 8) & 0xfff)) \
                $(((rdev & 0xff) | ((rdev >> 12) & 0xfff00))) ||
                problem "The device $file could not be made."
            changed=$((changed + 1))
            ;;
        *) is_there || problem "$file ($kind) is not there; its daemon makes it anew." ;;
    esac
}

put_back_file() {
    case $sha in
        -) return 0 ;;
        hmac:*)
            is_there || problem "$file held a secret and was not copied; write it again."
            return 0
            ;;
    esac
    if is_kind && [ "$(sha256sum <"$item" | cut -d ' ' -f 1)" = "$sha" ]; then return 0; fi
    from=$objects/$(printf '%.2s' "$sha")/$sha
    if [ "$(sha256sum <"$from" 2>/dev/null | cut -d ' ' -f 1)" != "$sha" ]; then
        problem "The saved content of $file is missing or was altered; the file was left alone."
        return 0
    fi
    if is_kind; then
        unlock "$item"
    elif is_there; then
        set_aside
    fi
    (write_file) || problem "$file could not be written."
    changed=$((changed + 1))
}

# write_file: the content of $from at $item. It is made ready in a directory of its own, which no
# one else can look into or take elsewhere; its short name fits however long the file's name is.
write_file() {
    draft=.harden-tui.$$
    tries=0
    until mkdir -m 700 -- "$draft" 2>/dev/null; do
        tries=$((tries + 1))
        draft=.harden-tui.$$.$tries
        [ "$tries" -lt 5 ] || return 1
    done
    enter "${PWD%/}/$draft" && [ "$(stat -c %u .)" = "$me" ] || return 1
    cp -- "$from" ./new && sync -- ./new && chown "$uid:$gid" -- ./new && chmod "$mode" -- ./new &&
        mv -f $no_target -- ./new "../${item#./}"
    written=$?
    [ "$written" -eq 0 ] || rm -f ./new
    cd .. && rmdir -- "$draft"
    return "$written"
}

shape() {
    if is_refused "$file" || ! go_to "$file" || ! is_there; then return 0; fi
    if ! is_kind; then
        refuse "$file" "is not the $kind that it was"
        return 0
    fi
    case $kind in
        symlink)
            [ "$(stat -c '%u:%g' -- "$item")" = "$uid:$gid" ] || chown -h "$uid:$gid" -- "$item" ||
                problem "The owner of $file could not be set."
            return 0
            ;;
        dir)
            if ! go_into "$file"; then
                refuse "$file" "cannot be entered"
                return 0
            fi
            ;;
    esac
    if [ "$(stat -c '%a %u %g' -- "$item")" != "$mode $uid $gid" ]; then
        unlock "$item"
        chown -h "$uid:$gid" -- "$item" && no_link && chmod "$mode" -- "$item" ||
            problem "Owner or mode of $file could not be set."
        changed=$((changed + 1))
    fi
    case $path in
        # Such names the tools write in ways of their own, so they were passed over before.
        *\\*) strip_one ;;
    esac
    if [ "$acl" != - ]; then
        if [ -z "$setfacl" ]; then
            problem "The ACL of $file ($acl) was not set: setfacl is not installed."
        else
            unlock "$item"
            no_link && setfacl -m "$acl" -- "$item" && no_link && chmod "$mode" -- "$item" ||
                problem "The ACL of $file could not be set."
        fi
    fi
    [ "$xattrs" = - ] || shape_attributes
    case $kind in dir | file) shape_flags ;; esac
}

no_link() { [ ! -L "$item" ]; }

strip_one() {
    unlock "$item"
    [ -z "$setfacl" ] || { no_link && setfacl -b -- "$item"; }
    [ -z "$chattr" ] || { no_link && chattr -s -u -c -S -d -A -- "$item" 2>/dev/null; }
    [ -z "$setfattr" ] || getfattr -h -m - --absolute-names -- "$item" 2>/dev/null |
        while IFS= read -r line; do
            case $line in user.* | security.capability) setfattr -h -x "$line" -- "$item" ;; esac
        done
}

shape_flags() {
    signs=
    if [ "$flags" != 0 ]; then
        for pair in $signs_of_flags; do
            [ $((0x$flags & 0x${pair%:*})) -eq 0 ] || signs=$signs${pair#*:}
        done
    fi
    if [ -z "$chattr" ]; then
        [ -z "$signs" ] ||
            problem "The flags of $file ($signs) were not set: chattr is not installed."
        return 0
    fi
    unlock "$item"
    [ -z "$signs" ] || { no_link && chattr "+$signs" -- "$item"; } ||
        problem "The flags of $file could not be set."
}

# As chattr(1) and linux/fs.h name them; the last two forbid what comes before.
signs_of_flags='1:s 2:u 4:c 8:S 40:d 80:A 4000:j 8000:t 10000:D 20000:T 800000:C 20:a 10:i'

shape_attributes() {
    rest=$xattrs,
    while [ -n "$rest" ]; do
        pair=${rest%%,*}
        rest=${rest#*,}
        plain "${pair%=*}"
        case $name in system.posix_acl_*) continue ;; esac
        if [ -z "$setfattr" ]; then
            problem "The attribute $name of $file was not set: setfattr is not installed."
            continue
        fi
        unlock "$item"
        setfattr -h -n "$name" -v "0x${pair##*=}" -- "$item" ||
            problem "The attribute $name of $file could not be set."
    done
}

# strip ROOT: takes away what may have been given to files since; `shape` gives what was there.
strip() {
    [ -z "$setfacl" ] || getfacl -R -P -s -p -n -- "$1" 2>/dev/null | while IFS= read -r line; do
        case $line in
            '# file: '*\\*) ;;
            '# file: '*)
                holder=${line#??file: }
                if is_left "$holder" || ! go_to "$holder" || ! no_link; then continue; fi
                unlock "$item"
                setfacl -b -- "$item"
                ;;
        esac
    done
    [ -z "$setfattr" ] || getfattr -R -P -h -m - --absolute-names -- "$1" 2>/dev/null |
        while IFS= read -r line; do
            case $line in
                '# file: '*\\*) holder= ;;
                '# file: '*)
                    holder=${line#??file: }
                    ! is_left "$holder" || holder=
                    ;;
                user.* | security.capability)
                    [ -n "$holder" ] && attribute=$line && go_to "$holder" || continue
                    unlock "$item"
                    setfattr -h -x "$attribute" -- "$item"
                    ;;
            esac
        done
    [ -z "$chattr" ] || lsattr -R -a "$1" 2>/dev/null | while read -r line holder; do
        case $holder in */..) continue ;; esac
        case $line in
            /* | *[!sucSdAjtDTCaieEIVFNPmx-]*) ;;
            *[sucSdAjtDTC]*)
                if is_left "$holder" || ! go_to "$holder" || ! no_link; then continue; fi
                chattr -i -a -s -u -c -S -d -A -- "$item" 2>/dev/null
                ;;
        esac
    done
    return 0
}

: >"$work/wanted"
: >"$work/present"
: >"$work/left"
: >"$work/refused"
: >"$work/roots"
: >"$work/kinds"
while read -r word value rest; do
    case $word in root | leave) ;; *) continue ;; esac
    plain "$rest"
    one_line "$prefix$name"
    case $word in
        leave) printf '%s\n' "$line" >>"$work/left" ;;
        root)
            printf '%s\n' "$line" >>"$work/roots"
            printf '%s %s\n' "$value" "$line" >>"$work/kinds"
            ;;
    esac
done <"$here/restore.list"
# The outer ones first.
sort -u "$work/roots" -o "$work/roots"
sort -t ' ' -k 2 "$work/kinds" -o "$work/kinds"
top=:
me=$(stat -c %u -- "$work")
# Where the tools can, a directory that comes to be at a name is not gone into.
no_target=
: >"$work/one"
if mv -f -T -- "$work/one" "$work/two" 2>/dev/null; then no_target=-T; fi
echo "Looking for what was not there then"
each remember
each open_up
while read -r word value rest; do
    [ "$word" = root ] || continue
    plain "$rest"
    file=$prefix$name
    if [ "$value" = content ] && go_into "$file"; then below "$file" >>"$work/present"; fi
done <"$here/restore.list"
sort -u "$work/wanted" -o "$work/wanted"
sort -u "$work/present" -o "$work/present"
comm -13 "$work/wanted" "$work/present" >"$work/extra"
while IFS= read -r extra; do
    many_lines "$extra"
    # The parent goes first in this order and takes the rest along.
    file=$name
    if ! go_to "$file"; then
        # It went with its parent, or its place was exchanged since it was listed.
        [ ! -e "${file%/*}" ] || problem "$file was not there then and could not be reached."
    elif is_there; then
        set_aside
    fi
done <"$work/extra"

echo "Putting contents back"
each put_back
echo "Putting owners, modes and flags back"
while read -r word value rest; do
    [ "$word" = root ] || continue
    plain "$rest"
    file=$prefix$name
    if go_to "$file" && is_there && no_link; then strip "$file"; fi
done <"$here/restore.list"
each shape

echo "$changed changes made."
[ ! -d "$aside" ] || echo "What was not there then lies in $aside"
if [ "$problems" -ne 0 ]; then
    echo "$problems things could not be put back; they are named above." >&2
    exit 1
fi
[ -n "$prefix" ] || echo "Now run 'systemctl daemon-reload' and restart what runs with other settings, or reboot."
