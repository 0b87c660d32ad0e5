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
if [ -n "$prefix" ] && [ ! -d "$prefix" ]; then
    echo "restore.sh: $prefix is no directory; nothing was changed." >&2
    exit 1
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

set_aside() {
    unlock "$(dirname "$1")"
    unlock "$1"
    mkdir -p "$aside$(dirname "$1")" && mv -- "$1" "$aside$1" ||
        problem "$1 could not be moved away."
    changed=$((changed + 1))
}

# is_left LINE: whether it lies below a directory that the restore point does not cover.
is_left() {
    [ -s "$work/left" ] || return 1
    while IFS= read -r left; do
        case $1 in "$left"/*) return 0 ;; esac
    done <"$work/left"
    return 1
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
    [ "$kind" = dir ] && [ -d "$file" ] && unlock "$file"
    return 0
}

# --- then: what shall be there -------------------------------------------------------------------

put_back() {
    case $kind in
        dir)
            if [ -L "$file" ] || { [ -e "$file" ] && [ ! -d "$file" ]; }; then set_aside "$file"; fi
            [ -d "$file" ] && return 0
            mkdir -- "$file" || problem "The directory $file could not be made."
            changed=$((changed + 1))
            ;;
        file) put_back_file ;;
        symlink)
            plain "$target"
            if [ -L "$file" ] && [ "$(readlink -- "$file"; echo x)" = "$name
x" ]; then return 0; fi
            if [ -L "$file" ] || [ -e "$file" ]; then set_aside "$file"; fi
            ln -s -- "$name" "$file" || problem "The link $file could not be made."
            changed=$((changed + 1))
            ;;
        fifo)
            [ -p "$file" ] && return 0
            if [ -L "$file" ] || [ -e "$file" ]; then set_aside "$file"; fi
            mkfifo -- "$file" || problem "The pipe $file could not be made."
            ;;
        char | block)
            if [ "$kind" = char ]; then letter=c; [ -c "$file" ] && return 0
            else letter=b; [ -b "$file" ] && return 0; fi
            if [ -L "$file" ] || [ -e "$file" ]; then set_aside "$file"; fi
            # Linux: eight bits of the minor number, twelve of the major, the rest of the minor
            mknod -- "$file" $letter $(((rdev >> 8) & 0xfff)) \
                $(((rdev & 0xff) | ((rdev >> 12) & 0xfff00))) ||
                problem "The device $file could not be made."
            changed=$((changed + 1))
            ;;
        *) [ -e "$file" ] || problem "$file ($kind) is not there; its daemon makes it anew." ;;
    esac
}

put_back_file() {
    case $sha in
        -) return 0 ;;
        hmac:*)
            [ -f "$file" ] || problem "$file held a secret and was not copied; write it again."
            return 0
            ;;
    esac
    if [ -f "$file" ] && [ ! -L "$file" ]; then
        [ "$(sha256sum <"$file" | cut -d ' ' -f 1)" = "$sha" ] && return 0
        unlock "$file"
    elif [ -L "$file" ] || [ -e "$file" ]; then
        set_aside "$file"
    fi
    from=$objects/$(printf '%.2s' "$sha")/$sha
    if [ "$(sha256sum <"$from" 2>/dev/null | cut -d ' ' -f 1)" != "$sha" ]; then
        problem "The saved content of $file is missing or was altered; the file was left alone."
        return 0
    fi
    cp -- "$from" "$file.harden-tui-new" && sync -- "$file.harden-tui-new" &&
        chown "$uid:$gid" -- "$file.harden-tui-new" && chmod "$mode" -- "$file.harden-tui-new" &&
        mv -f -- "$file.harden-tui-new" "$file" || problem "$file could not be written."
    changed=$((changed + 1))
}

shape() {
    [ -L "$file" ] || [ -e "$file" ] || return 0
    case $kind in
        symlink)
            [ "$(stat -c '%u:%g' -- "$file")" = "$uid:$gid" ] || chown -h "$uid:$gid" -- "$file" ||
                problem "The owner of $file could not be set."
            return 0
            ;;
    esac
    if [ "$(stat -c '%a %u %g' -- "$file")" != "$mode $uid $gid" ]; then
        unlock "$file"
        chown "$uid:$gid" -- "$file" && chmod "$mode" -- "$file" ||
            problem "Owner or mode of $file could not be set."
        changed=$((changed + 1))
    fi
    case $path in
        # Such names the tools write in ways of their own, so they were passed over before.
        *\\*) strip_one "$file" ;;
    esac
    if [ "$acl" != - ]; then
        if [ -z "$setfacl" ]; then
            problem "The ACL of $file ($acl) was not set: setfacl is not installed."
        else
            unlock "$file"
            setfacl -m "$acl" -- "$file" && chmod "$mode" -- "$file" ||
                problem "The ACL of $file could not be set."
        fi
    fi
    [ "$xattrs" = - ] || shape_attributes
    case $kind in dir | file) shape_flags ;; esac
}

strip_one() {
    unlock "$1"
    [ -z "$setfacl" ] || setfacl -b -- "$1"
    [ -z "$chattr" ] || chattr -s -u -c -S -d -A -- "$1" 2>/dev/null
    [ -z "$setfattr" ] || getfattr -h -m - --absolute-names -- "$1" 2>/dev/null |
        while IFS= read -r line; do
            case $line in user.* | security.capability) setfattr -h -x "$line" -- "$1" ;; esac
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
    unlock "$file"
    [ -z "$signs" ] || chattr "+$signs" -- "$file" || problem "The flags of $file could not be set."
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
        unlock "$file"
        setfattr -h -n "$name" -v "0x${pair##*=}" -- "$file" ||
            problem "The attribute $name of $file could not be set."
    done
}

# strip ROOT: takes away what may have been given to files since; `shape` gives what was there.
strip() {
    [ -z "$setfacl" ] || getfacl -R -P -s -p -n -- "$1" 2>/dev/null | while IFS= read -r line; do
        case $line in
            '# file: '*\\*) ;;
            '# file: '*)
                line=${line#??file: }
                is_left "$line" && continue
                unlock "$line"
                setfacl -b -- "$line"
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
                    [ -n "$holder" ] || continue
                    unlock "$holder"
                    setfattr -h -x "$line" -- "$holder"
                    ;;
            esac
        done
    [ -z "$chattr" ] || lsattr -R -a "$1" 2>/dev/null | while read -r line holder; do
        case $line in
            /* | *[!sucSdAjtDTCaieEIVFNPmx-]*) ;;
            *[sucSdAjtDTC]*) is_left "$holder" || chattr -i -a -s -u -c -S -d -A -- "$holder" 2>/dev/null ;;
        esac
    done
    return 0
}

: >"$work/wanted"
: >"$work/present"
: >"$work/left"
while read -r word value rest; do
    [ "$word" = leave ] || continue
    plain "$rest"
    one_line "$prefix$name"
    printf '%s\n' "$line" >>"$work/left"
done <"$here/restore.list"
echo "Looking for what was not there then"
each remember
each open_up
while read -r word value rest; do
    [ "$word" = root ] || continue
    plain "$rest"
    if [ "$value" = content ] && [ -d "$prefix$name" ]; then below "$prefix$name" >>"$work/present"; fi
done <"$here/restore.list"
sort -u "$work/wanted" -o "$work/wanted"
sort -u "$work/present" -o "$work/present"
comm -13 "$work/wanted" "$work/present" >"$work/extra"
while IFS= read -r extra; do
    many_lines "$extra"
    # The parent goes first in this order and takes the rest along.
    if [ -L "$name" ] || [ -e "$name" ]; then set_aside "$name"; fi
done <"$work/extra"

echo "Putting contents back"
each put_back
echo "Putting owners, modes and flags back"
while read -r word value rest; do
    [ "$word" = root ] || continue
    plain "$rest"
    [ ! -e "$prefix$name" ] || strip "$prefix$name"
done <"$here/restore.list"
each shape

echo "$changed changes made."
[ ! -d "$aside" ] || echo "What was not there then lies in $aside"
if [ "$problems" -ne 0 ]; then
    echo "$problems things could not be put back; they are named above." >&2
    exit 1
fi
[ -n "$prefix" ] || echo "Now run 'systemctl daemon-reload' and restart what runs with other settings, or reboot."
