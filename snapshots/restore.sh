#!/bin/sh
# Puts the files of this restore point back, without Python and without harden-tui:
# content, owner, mode, links and absence. Needs a POSIX shell and coreutils, nothing else. Flags,
# ACLs and extended attributes need chattr, setfacl and setfattr; where one of these is missing and
# a file had such a thing, that is said. May be run again and again.
#
#     sh restore.sh            on the machine itself
#     sh restore.sh /mnt       on a disk mounted at /mnt
#
# Files only: packages stay as they are, and services, kernel settings and the packet filter follow
# their files at the next boot.
#
# Nothing is deleted: what was not there then is moved to set-aside.N beside this script, and a file
# that held something else is copied to it before it is written over.
#
# A disk that is full or read-only keeps nothing from coming back that can: what this script itself
# has to write goes to /run then, what is set aside too (until the next boot only), and a file for
# which there is no room twice is written over in its place. The exit status is 75 where that was
# not enough: what is named is not put back, and another try may do it. 1: no other try would.
#
# It believes nothing that was altered on the disk: SHA256SUMS proves this script and restore.list,
# the name of a list or content is its SHA-256, and a kept secret is proved with this host's key.
# Where any of what says what was there is damaged or missing, that is named, and only what is proved
# is put back. In the directory that a damaged list is about nothing is touched; where it is not
# known which that is, nothing that seems to have come since is moved away.
#
# What is mounted below /etc or a tree is neither moved away, nor gone into, nor written over. What
# was there then and cannot be put back because of it is named.
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
secrets=$here/../../secrets
key=$here/../../../key
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

NO_ROOM=75
IN_PLACE_BYTES=1048576
spare=/run/harden-tui
mountinfo=/proc/self/mountinfo
number=1
while [ -e "$here/set-aside.$number" ] || [ -e "$spare/set-aside.${here##*/}.$number" ]; do
    number=$((number + 1))
done
aside=$here/set-aside.$number
spare_aside=$spare/set-aside.${here##*/}.$number
work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
problems=0
changed=0
doubtful=
unlisted=
full=
no_room=
whys=
busy=
key_is=
devices=' '
has_covers=

has() { command -v "$1" >/dev/null 2>&1; }
chattr=; has chattr && has lsattr && chattr=yes
setfacl=; has setfacl && has getfacl && setfacl=yes
setfattr=; has setfattr && has getfattr && setfattr=yes
newline='
'
mark=$(printf '\001')

problem() {
    problems=$((problems + 1))
    printf %s "$whys" >&2
    whys=
    echo "restore.sh: $*" >&2
}

# doubt WORDS: something that says what was there is damaged. What is extra is not known then, and
# files that are not listed may be those that cannot be given back what they had.
doubt() {
    doubtful=yes
    problem "$* What came since is left where it is."
}

# attempt WORDS: runs them. What they said where they fail, in $whys, for the problem that follows
# if nothing else helps; whether that was for want of room, in $no_room.
attempt() {
    busy=
    said=$("$@" 2>&1) && return 0
    case $said in
        # As the kernel says of what something is mounted on.
        *'Device or resource busy'*) busy=yes ;;
        *'No space left on device'* | *'Disk quota exceeded'* | *'Read-only file system'*)
            no_room=yes
            ;;
    esac
    [ -z "$said" ] || whys=$whys$said$newline
    return 1
}

# make_work: a directory for lists of our own, in $work, where there is room for them.
make_work() {
    bytes=65536
    for list in $lists; do
        saved_in "$list"
        bytes=$((bytes + 3 * $(stat -c %s -- "$from")))
    done
    for work in "$here/.work.$$" "$spare/work.$$"; do
        if mkdir -p "$work" && head -c "$bytes" /dev/zero >"$work/room"; then
            rm -f "$work/room"
            return 0
        fi 2>/dev/null
        rm -rf "$work"
    done
    echo "restore.sh: there is room neither in $here nor in $spare; nothing was changed." >&2
    exit "$NO_ROOM"
}

# note LIST LINE: adds to a list of our own; half of one (on a full disk) must not be taken for all.
note() {
    printf '%s\n' "$2" >>"$work/$1" || full=yes
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
    case $1 in *"$newline"* | *"$mark"*) ;; *) return ;; esac
    line=
    after=$1
    while [ -n "$after" ]; do
        case $after in
            "$newline"*) line=$line${mark}n ;;
            "$mark"*) line=$line${mark}m ;;
            *) line=$line${after%"${after#?}"} ;;
        esac
        after=${after#?}
    done
}

many_lines() {
    name=
    after=$1
    while case $after in *"$mark"*) ;; *) false ;; esac; do
        name=$name${after%%"$mark"*}
        after=${after#*"$mark"}
        case $after in
            n*) name=$name$newline ;;
            *) name=$name$mark ;;
        esac
        after=${after#?}
    done
    name=$name$after
}

# --- what is proved -------------------------------------------------------------------------------

# hash_of FILE: its SHA-256, in $hash; empty where it cannot be read, or is no regular file: to open
# a pipe would wait for ever.
hash_of() {
    hash=
    [ ! -f "$1" ] || [ -L "$1" ] || hash=$(sha256sum 2>/dev/null <"$1" | cut -d ' ' -f 1)
}

# is_in_sums NAME FILE: whether SHA256SUMS has the hash of the file under that name.
is_in_sums() {
    hash_of "$2"
    [ -n "$hash" ] && [ -f "$here/SHA256SUMS" ] || return 1
    while IFS= read -r line; do
        if [ "$line" = "$hash  $1" ]; then return 0; fi
    done <"$here/SHA256SUMS"
    return 1
}

# is_in_manifest HASH: whether manifest.json names a list of files with that hash.
is_in_manifest() {
    [ -f "$here/manifest.json" ] || return 1
    while IFS= read -r line; do
        case $line in *'"files '*": \"$1\""*) return 0 ;; esac
    done <"$here/manifest.json"
    return 1
}

# saved_in HASH: the file that holds a list or content, in $from.
saved_in() { from=$objects/$(printf '%.2s' "$1")/$1; }

# is_one_directory: whether a list is about $place and all below it, and not about a tree's own files.
is_one_directory() {
    [ -n "$place" ] || return 1
    case $tops in *" $place "*) return 1 ;; esac
}

# find_lists: those that are proved, in $lists, and whether restore.list is, in $is_proved.
find_lists() {
    lists=
    is_proved=yes
    is_in_sums restore.sh "$here/${0##*/}" ||
        doubt "$here/${0##*/} is not as $here/SHA256SUMS says: one of them is damaged."
    # What restore.list says of roots is not used then: nothing else proves it. Paths of files stand
    # in the lists, which are proved by their names; that they belong to this restore point,
    # manifest.json says as well.
    if ! is_in_sums restore.list "$here/restore.list"; then
        is_proved=
        doubt "$here/restore.list is not as $here/SHA256SUMS says: one of them is damaged." \
            "Only what manifest.json lists too is put back."
    fi
    tops=' '
    while read -r word value place; do
        [ "$word" != root ] || tops="$tops$place "
        [ "$word" = chunk ] || continue
        saved_in "$value"
        hash_of "$from"
        if [ "$hash" != "$value" ] && [ -n "$is_proved" ] && is_one_directory; then
            unlisted="$unlisted $place"
            plain "$place"
            problem "The list $from is missing or was altered; $prefix$name was left alone."
        elif [ "$hash" != "$value" ]; then
            doubt "The list $from is missing or was altered; its files were left alone."
        elif [ -z "$is_proved" ] && ! is_in_manifest "$value"; then
            doubt "The list $from is not in $here/manifest.json; its files were left alone."
        else
            lists="$lists $value"
        fi
    done <"$here/restore.list"
}

# read_key FILE: the key of the keyed hashes as HMAC-SHA-256 (RFC 2104) uses it, in $inner_pad and
# $outer_pad, with the escapes of printf. Fails where it is missing or not as its sum says.
read_key() {
    word=
    sum=
    while IFS= read -r line; do
        case $line in
            '  "key": "'*'",') word=${line#*'": "'} && word=${word%'",'} ;;
            '  "sha256": "'*'"') sum=${line#*'": "'} && sum=${sum%'"'} ;;
        esac
    done 2>/dev/null <"$1"
    hash=$(printf '{\n  "key": "%s"\n}\n' "$word" | sha256sum | cut -d ' ' -f 1)
    [ -n "$word" ] && [ "$hash" = "$sum" ] || return 1
    inner_pad=
    outer_pad=
    length=0
    for byte in $(printf %s "$word" | base64 -d 2>/dev/null | od -A n -v -t x1); do
        length=$((length + 1))
        inner_pad=$inner_pad$(printf '\\0%03o' $((0x$byte ^ 0x36)))
        outer_pad=$outer_pad$(printf '\\0%03o' $((0x$byte ^ 0x5c)))
    done
    [ "$length" -eq 32 ] || return 1
    while [ "$length" -lt 64 ]; do
        length=$((length + 1))
        inner_pad=$inner_pad'\0066'
        outer_pad=$outer_pad'\0134'
    done
}

# has_key: whether there is one, in either of the two files that hold it. Read once, and only where
# there are secrets.
has_key() {
    if [ -z "$key_is" ]; then
        key_is=missing
        for one in "$key" "$key-copy"; do
            if [ -f "$one" ] && read_key "$one"; then
                key_is=there
                break
            fi
        done
    fi
    [ "$key_is" = there ]
}

# keyed_hash TEXT: in $hash, as the lists have it of a file that holds a secret.
keyed_hash() {
    rest=$({ printf %b "$inner_pad" && printf %s "$1"; } | sha256sum | cut -d ' ' -f 1)
    bytes=
    while [ -n "$rest" ]; do
        bytes=$bytes$(printf '\\0%03o' "0x${rest%"${rest#??}"}")
        rest=${rest#??}
    done
    hash=hmac:$({ printf %b "$outer_pad" && printf %b "$bytes"; } | sha256sum | cut -d ' ' -f 1)
}

# holds FILE: whether it holds what the entry held.
holds() {
    hash_of "$1"
    [ -n "$hash" ] || return 1
    case $sha in hmac:*) keyed_hash "$hash" ;; esac
    [ "$hash" = "$sha" ]
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

# covers_by_mountinfo: each place below $top, which is really $real, where something is mounted.
covers_by_mountinfo() {
    while read -r id parent device source where rest; do
        case $where in *\\*) unescape_mount ;; esac
        one_line "$where"
        case $line in
            "$real"/*)
                line=$top_line${line#"$real"}
                is_root "$line" || note covers "$line"
                ;;
        esac
    done <"$mountinfo"
}

# unescape_mount: $where as the kernel writes it ("/my\040disk"), as it is.
unescape_mount() {
    after=$where
    where=
    while case $after in *\\*) ;; *) false ;; esac; do
        where=$where${after%%\\*}
        after=${after#*\\}
        byte=$(printf '%.3s' "$after")
        byte=$(printf "\\${byte}x")
        where=$where${byte%x}
        after=${after#???}
    done
    where=$where$after
}

# covers_by_device DIRECTORY LINE: the same without /proc, of other file systems only.
covers_by_device() {
    for entry in "$1"/*/ "$1"/.[!.]*/ "$1"/..?*/; do
        entry=${entry%/}
        if [ -L "$entry" ] || [ ! -d "$entry" ]; then continue; fi
        one_line "$2/${entry##*/}"
        if [ "$(stat -c %d -- "$entry")" = "$top_device" ]; then
            covers_by_device "$entry" "$line"
        else
            is_root "$line" || note covers "$line"
        fi
    done
}

is_root() {
    while IFS= read -r root; do
        if [ "$root" = "$1" ]; then return 0; fi
    done <"$work/roots"
    return 1
}

# find_covers: where something is mounted below an outermost root, by the names that entries have;
# the devices of the roots, too, in $devices.
find_covers() {
    cp -- "$work/roots" "$work/tops" || full=yes
    if [ -z "$is_proved" ]; then
        # It is not known then which roots there were; /etc always is one.
        one_line "$prefix/etc"
        note tops "$line"
    fi
    first=
    read -r first 2>/dev/null <"$mountinfo"
    while IFS= read -r top_line; do
        many_lines "$top_line"
        find_top "$name"
        real=$above_top${name#"${top%/*}"}
        [ -n "$top_is_safe" ] && [ -d "$real" ] && [ ! -L "$real" ] || continue
        top_device=$(stat -c %d -- "$real")
        devices="$devices$top_device "
        [ "$top" = "$name" ] || continue
        if [ -n "$first" ]; then
            one_line "$real"
            real=$line
            covers_by_mountinfo
        else
            covers_by_device "$real" "$top_line"
        fi
    done <"$work/tops"
    [ ! -s "$work/covers" ] || has_covers=yes
}

# cover FILE: something is mounted there, as was found out meanwhile.
cover() {
    one_line "$1"
    note covers "$line"
    has_covers=yes
}

# is_covered FILE: whether something is mounted there or above it; at which line, in $listed.
is_covered() {
    [ -n "$has_covers" ] || return 1
    one_line "$1"
    is_listed covers "$line"
}

# holds_cover FILE: whether something is mounted below it; at which line, in $listed.
holds_cover() {
    [ -n "$has_covers" ] || return 1
    one_line "$1"
    while IFS= read -r listed; do
        case $listed in "$line"/*) return 0 ;; esac
    done <"$work/covers"
    return 1
}

# refuse_cover: what is mounted on $listed.
refuse_cover() {
    many_lines "$listed"
    refuse "$name" "is covered by what is mounted on it; unmount it and run this again"
}

# is_as_it_was: $file, at or below $listed. Of a mount point only that it is one is looked at: what
# holds a directory and nothing else has nothing to be put back.
is_as_it_was() {
    one_line "$file"
    if [ "$kind" = dir ] && [ "$line" = "$listed" ]; then return 0; fi
    go_to "$file" && is_kind || return 1
    case $kind in
        symlink)
            plain "$target"
            [ "$(readlink -- "$item"; echo x)" = "$name
x" ] && [ "$(stat -c '%u %g' -- "$item")" = "$uid $gid" ]
            return
            ;;
        file)
            case $sha in
                -) ;;
                hmac:*) has_key && holds "$item" || return 1 ;;
                *) holds "$item" || return 1 ;;
            esac
            ;;
    esac
    [ "$(stat -c '%a %u %g' -- "$item")" = "$mode $uid $gid" ]
}

# is_left LINE: whether it lies below a directory that the restore point does not cover.
is_left() { [ -s "$work/left" ] && is_listed left "${1%/*}"; }

# is_lost LINE: whether what was there then is not known of it any more.
is_lost() { [ -n "$unlisted" ] && is_listed lost "$1"; }

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

# put_aside COMMAND: does so with $item, which is $file; where it is then, in $kept.
put_aside() {
    # What cannot be taken from here shall not be copied again with every try.
    kept=
    attempt is_writable . || return 1
    lacked=$no_room
    for kept in "$aside$file" "$spare_aside$file"; do
        if attempt mkdir -p -- "${kept%/*}" && attempt "$@" -- "$item" "$kept"; then
            no_room=$lacked
            whys=
            return 0
        fi
        # Half a copy is none.
        [ "$1" != cp ] || rm -f -- "$kept"
        # To another file system mv copies, and what is mounted there it would empty.
        [ -z "$busy" ] || return 1
    done
    return 1
}

is_writable() { [ -w "$1" ] || { echo "$PWD: Read-only file system"; return 1; }; }

# set_aside: $item, which is $file. Where that fails nothing may be put in its place.
set_aside() {
    if holds_cover "$file"; then
        many_lines "$listed"
        refuse "$file" "holds $name, where something is mounted; unmount that and run this again"
        return 1
    fi
    unlock .
    unlock "$item"
    if ! put_aside mv; then
        problem "$file could not be moved away."
        [ -z "$busy" ] || cover "$file"
        return 1
    fi
    changed=$((changed + 1))
}

# below DIRECTORY: every entry below it, a line each.
below() {
    for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        if is_covered "$entry"; then continue; fi
        [ -L "$entry" ] || [ -e "$entry" ] || continue
        one_line "$entry"
        ! is_lost "$line" || continue
        note present "$line"
        if [ -d "$entry" ] && [ ! -L "$entry" ] && ! is_left "$line/"; then below "$entry"; fi
    done
}

# each FUNCTION: call it for every entry of the lists, directories before what they hold.
each() {
    for list in $lists; do
        while read -r kind mode uid gid flags rdev size mtime sha path target xattrs acl; do
            case $kind in '#'*) continue ;; esac
            plain "$path"
            file=$prefix$name
            "$1"
        done <"$objects/$(printf '%.2s' "$list")/$list"
    done
}

# --- first: what stands in the way ---------------------------------------------------------------

remember() {
    one_line "$file"
    note wanted "$line"
}

# find_extra: what is there and was not then, a line each in $work/extra.
find_extra() {
    each remember
    while read -r word value rest; do
        [ "$word" = root ] || continue
        plain "$rest"
        file=$prefix$name
        if [ "$value" = content ] && go_into "$file"; then below "$file"; fi
    done <"$here/restore.list"
    sort -u "$work/wanted" -o "$work/wanted" && sort -u "$work/present" -o "$work/present" &&
        comm -13 "$work/wanted" "$work/present" >"$work/extra" || full=yes
}

move_extra() {
    while IFS= read -r extra; do
        many_lines "$extra"
        # The parent goes first in this order and takes the rest along.
        file=$name
        if is_listed left "$extra"; then
            continue
        elif ! go_to "$file"; then
            # It went with its parent, or its place was exchanged since it was listed.
            [ ! -e "${file%/*}" ] || problem "$file was not there then and could not be reached."
        elif ! is_on_a_root || holds_cover "$file"; then
            # What is in it is listed too, without what is mounted.
            continue
        elif is_there; then
            set_aside
        fi
    done <"$work/extra"
}

# is_on_a_root: whether the directory we are in can have been gone into, as on the same file system.
is_on_a_root() {
    case $devices in *" $(stat -c %d .) "*) return 0 ;; esac
    return 1
}

open_up() {
    [ "$kind" = dir ] && ! is_covered "$file" && go_into "$file" && unlock .
    return 0
}

# --- then: what shall be there -------------------------------------------------------------------

put_back() {
    if is_refused "$file"; then return 0; fi
    if is_covered "$file"; then
        is_as_it_was || refuse_cover
        return 0
    fi
    if ! go_to "$file"; then
        refuse "${file%/*}" "is not there, or a link or another user stands in the way to it"
        return 0
    fi
    case $kind in
        dir)
            if is_kind; then return 0; fi
            if is_there; then
                # What was in it is not known, or not all of it, so it cannot be made anew.
                if [ -n "$doubtful$unlisted" ] || is_metadata "$file"; then
                    refuse "$file" "is no directory any more"
                    return 0
                fi
                set_aside || return 0
            fi
            attempt mkdir -- "$item" || problem "The directory $file could not be made."
            changed=$((changed + 1))
            ;;
        file) put_back_file ;;
        symlink)
            plain "$target"
            if [ -L "$item" ] && [ "$(readlink -- "$item"; echo x)" = "$name
x" ]; then return 0; fi
            if is_there; then set_aside || return 0; fi
            attempt ln -s -n -- "$name" "$item" || problem "The link $file could not be made."
            changed=$((changed + 1))
            ;;
        fifo)
            if is_kind; then return 0; fi
            if is_there; then set_aside || return 0; fi
            attempt mkfifo -- "$item" || problem "The pipe $file could not be made."
            ;;
        char | block)
            if is_kind; then return 0; fi
            if [ "$kind" = char ]; then letter=c; else letter=b; fi
            if is_there; then set_aside || return 0; fi
            # Linux: eight bits of the minor number, twelve of the major, the rest of the minor
            attempt mknod -- "$item" $letter $(((rdev >> 8) & 0xfff)) \
                $(((rdev & 0xff) | ((rdev >> 12) & 0xfff00))) ||
                problem "The device $file could not be made."
            changed=$((changed + 1))
            ;;
        *) is_there || problem "$file ($kind) is not there; its daemon makes it anew." ;;
    esac
}

put_back_file() {
    copy=
    lost="The saved content of $file is missing or was altered; the file was left alone."
    case $sha in
        -)
            # Of what has a size the content was too large to keep; the trees without have none.
            [ "$size" -eq 0 ] || is_kind || problem "The content of $file was not kept: it was" \
                "too large. Put it back from a backup."
            return 0
            ;;
        hmac:*)
            from=$secrets/${sha#hmac:}
            if ! has_key; then
                problem "$file holds a secret, and without the key $key it cannot be told whether" \
                    "it was changed or $from is what it held; the file was left alone."
                return 0
            fi
            # Such contents are kept only from when a change of ours was to replace them.
            [ -e "$from" ] || lost="What $file held is secret and was not kept; write it again."
            ;;
        *) saved_in "$sha" ;;
    esac
    if is_kind && holds "$item"; then return 0; fi
    if ! holds "$from"; then
        problem "$lost"
        return 0
    fi
    is_copied=yes
    if is_kind; then
        unlock "$item"
        copy_aside
    elif is_there; then
        set_aside || return 0
    fi
    before=$no_room
    if attempt write_file || { [ -z "$busy" ] && is_kind && attempt write_over; }; then
        no_room=$before
        whys=
        changed=$((changed + 1))
        [ -n "$is_copied" ] ||
            problem "There was no room for a copy of $file as it was; it was written over even so."
    else
        [ ! -f "${copy:-}" ] || rm -f -- "$copy"
        if [ -n "$busy" ]; then
            whys=
            one_line "$file"
            listed=$line
            refuse_cover
        else
            problem "$file could not be written."
        fi
    fi
}

# copy_aside: $item, which is $file and will be written over, to $copy. That there is no room for it
# keeps the file from nothing, and is no reason to try again: in $is_copied.
copy_aside() {
    before=$no_room
    put_aside cp -d -p || is_copied=
    no_room=$before
    copy=$kept
}

# write_file: the content of $from at $item. It is made ready in a directory of its own, which no
# one else can look into or take elsewhere; its short name fits however long the file's name is.
write_file() {
    draft=.harden-tui.$$
    tries=0
    until mkdir -m 700 -- "$draft"; do
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

# write_over: the content of $from over that of $item, where there is no room beside it. It grows
# before anything is written over, so where even for that there is no room it stays as it is.
write_over() {
    size=$(stat -c %s -- "$from")
    there=$(stat -c %s -- "$item")
    # Another name of it is not ours to write to, and neither is what others may exchange.
    is_roots "$PWD" && [ "$(stat -c %h -- "$item")" -eq 1 ] && [ "$size" -le "$IN_PLACE_BYTES" ] ||
        return 1
    if [ "$size" -gt "$there" ]; then
        head -c $((size - there)) /dev/zero | over conv=notrunc,fsync oflag=append,nofollow ||
            { cut_at "$there"; return 1; }
    fi
    chown -h "$uid:$gid" -- "$item" && no_link && chmod "$mode" -- "$item" &&
        over if="$from" conv=notrunc,fsync oflag=nofollow && cut_at "$size" && holds "$item"
}

# over WORDS: dd to $item, in one piece.
over() { dd of="$item" bs="$IN_PLACE_BYTES" iflag=fullblock status=none "$@"; }

# cut_at BYTES: what $item has beyond them goes.
cut_at() { dd if=/dev/null of="$item" bs=1 seek="$1" count=0 oflag=nofollow status=none; }

shape() {
    if is_refused "$file" || is_covered "$file" || ! go_to "$file" || ! is_there; then
        return 0
    fi
    if ! is_kind; then
        refuse "$file" "is not the $kind that it was"
        return 0
    fi
    case $kind in
        symlink)
            [ "$(stat -c '%u:%g' -- "$item")" = "$uid:$gid" ] ||
                attempt chown -h "$uid:$gid" -- "$item" ||
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
        attempt chown -h "$uid:$gid" -- "$item" && no_link && attempt chmod "$mode" -- "$item" ||
            problem "Owner or mode of $file could not be set."
        changed=$((changed + 1))
    fi
    case $doubtful$path in
        # Such names the tools write in ways of their own, so they were passed over before; in doubt
        # all were, for what is not listed keeps what it has.
        yes* | *\\*) strip_one ;;
    esac
    if [ "$acl" != - ]; then
        if [ -z "$setfacl" ]; then
            problem "The ACL of $file ($acl) was not set: setfacl is not installed."
        else
            unlock "$item"
            no_link && attempt setfacl -m "$acl" -- "$item" &&
                no_link && attempt chmod "$mode" -- "$item" ||
                problem "The ACL of $file could not be set."
        fi
    fi
    [ "$xattrs" = - ] || shape_attributes
    case $kind in dir | file) shape_flags ;; esac
}

no_link() { [ ! -L "$item" ]; }

strip_one() {
    unlock "$item"
    # Asked first: a file system without ACLs has nothing to take away, and would only complain.
    # What an ACL's mask kept from the group counts again without it, so the mode is set once more.
    [ -z "$setfacl" ] || [ -z "$(getfacl -s -p -n -- "$item" 2>/dev/null)" ] ||
        { no_link && setfacl -b -- "$item" && no_link && chmod "$mode" -- "$item"; }
    [ -z "$chattr" ] || { no_link && chattr "-$all_signs" -- "$item" 2>/dev/null; }
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
    [ -z "$signs" ] || { no_link && attempt chattr "+$signs" -- "$item"; } ||
        problem "The flags of $file could not be set."
}

# As chattr(1) and linux/fs.h name them; the last two forbid what comes before.
signs_of_flags='1:s 2:u 4:c 8:S 40:d 80:A 4000:j 8000:t 10000:D 20000:T 800000:C 20:a 10:i'
all_signs=
for pair in $signs_of_flags; do all_signs=$all_signs${pair#*:}; done

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
        attempt setfattr -h -n "$name" -v "0x${pair##*=}" -- "$item" ||
            problem "The attribute $name of $file could not be set."
    done
}

# is_off FILE: whether it is none of what `strip` may touch.
is_off() {
    if is_covered "$1"; then return 0; fi
    one_line "$1"
    is_left "$line" || is_lost "$line"
}

# strip HOW NAMES: takes away what may have been given to files since; `shape` gives what was there.
# HOW is -R for these and what lies below them, -d for these alone.
strip() {
    if [ "$1" = -R ]; then deep='-R -P'; else deep=; fi
    listing=$1
    shift
    [ -z "$setfacl" ] || getfacl $deep -s -p -n -- "$@" 2>/dev/null | while IFS= read -r line; do
        case $line in
            '# file: '*\\*) ;;
            '# file: '*)
                holder=${line#??file: }
                if is_off "$holder" || ! go_to "$holder" || ! no_link; then continue; fi
                unlock "$item"
                setfacl -b -- "$item"
                ;;
        esac
    done
    [ -z "$setfattr" ] || getfattr $deep -h -m - --absolute-names -- "$@" 2>/dev/null |
        while IFS= read -r line; do
            case $line in
                '# file: '*\\*) holder= ;;
                '# file: '*)
                    holder=${line#??file: }
                    ! is_off "$holder" || holder=
                    ;;
                user.* | security.capability)
                    [ -n "$holder" ] && attribute=$line && go_to "$holder" || continue
                    unlock "$item"
                    setfattr -h -x "$attribute" -- "$item"
                    ;;
            esac
        done
    [ -z "$chattr" ] || lsattr "$listing" -a -- "$@" 2>/dev/null | while read -r line holder; do
        case $holder in */..) continue ;; esac
        case $line in
            /* | *[!sucSdAjtDTCaieEIVFNPmx-]*) ;;
            *[sucSdAjtDTC]*)
                if is_off "$holder" || ! go_to "$holder" || ! no_link; then continue; fi
                chattr "-$all_signs" -- "$item" 2>/dev/null
                ;;
        esac
    done
    return 0
}

# strip_around DIRECTORY: the same without what is mounted below it, which the tools would go into.
strip_around() {
    if ! holds_cover "$1"; then
        strip -R "$1"
        return
    fi
    strip -d "$1"
    for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        if is_covered "$entry"; then continue; fi
        if [ -d "$entry" ] && [ ! -L "$entry" ] && holds_cover "$entry"; then
            strip_around "$entry"
        elif [ -L "$entry" ] || [ -e "$entry" ]; then
            set -- "$@" "$entry"
        fi
    done
    shift
    [ "$#" -eq 0 ] || strip -R "$@"
}

find_lists
make_work
for list in wanted present extra left lost refused roots kinds tops covers one; do
    : >"$work/$list" || exit 1
done
for place in $unlisted; do
    plain "$place"
    one_line "$prefix$name"
    note lost "$line"
done
[ -z "$is_proved" ] || while read -r word value rest; do
    case $word in root | leave) ;; *) continue ;; esac
    plain "$rest"
    one_line "$prefix$name"
    case $word in
        leave) note left "$line" ;;
        root)
            note roots "$line"
            note kinds "$value $line"
            ;;
    esac
done <"$here/restore.list"
# The outer ones first.
sort -u "$work/roots" -o "$work/roots" &&
    sort -t ' ' -k 2 "$work/kinds" -o "$work/kinds" || full=yes
top=:
me=$(stat -c %u -- "$work")
# Where the tools can, a directory that comes to be at a name is not gone into.
no_target=
if mv -f -T -- "$work/one" "$work/two" 2>/dev/null; then no_target=-T; fi
find_covers
each open_up
if [ -z "$doubtful" ]; then
    echo "Looking for what was not there then"
    find_extra
    [ -z "$full" ] || { no_room=yes && doubt "$work could not be written to."; }
fi
[ -n "$doubtful" ] || move_extra

echo "Putting contents back"
each put_back
echo "Putting owners, modes and flags back"
[ -n "$doubtful" ] || while read -r word value rest; do
    [ "$word" = root ] || continue
    plain "$rest"
    file=$prefix$name
    if go_to "$file" && is_there && no_link; then strip_around "$file"; fi
done <"$here/restore.list"
each shape

while IFS= read -r listed; do
    many_lines "$listed"
    is_refused "$name" || echo "Something is mounted on $name; it was left alone."
done <"$work/covers"
echo "$changed changes made."
[ ! -d "$aside" ] || echo "What was not there then, or was written over, lies in $aside"
[ ! -d "$spare_aside" ] ||
    echo "What was not there then, or was written over, lies in $spare_aside, until the next boot"
echo "Files only: which packages are installed stays as it is, and so does what runs now."
if [ "$problems" -ne 0 ]; then
    echo "$problems things could not be put back; they are named above." >&2
    [ -z "$no_room" ] || exit "$NO_ROOM"
    exit 1
fi
[ -n "$prefix" ] || echo "Now run 'systemctl daemon-reload' and restart what runs with other settings, or reboot."
