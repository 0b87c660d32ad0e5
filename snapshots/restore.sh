#!/bin/sh
# Puts the files of this restore point back, without Python and without harden-tui:
# content, owner, mode, links and absence. Needs a POSIX shell and coreutils; uses chattr, setfacl
# and setfattr where they are installed. May be run again and again.
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
chattr=; has chattr && chattr=yes
setfacl=; has setfacl && has getfacl && setfacl=yes
setfattr=; has setfattr && setfattr=yes

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

# below DIRECTORY: every entry below it, a line each.
below() {
    for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        if [ -L "$entry" ]; then
            printf '%s\n' "$entry"
        elif [ -d "$entry" ]; then
            printf '%s\n' "$entry"
            below "$entry"
        elif [ -e "$entry" ]; then
            printf '%s\n' "$entry"
        fi
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

remember() { printf '%s\n' "$file" >>"$work/wanted"; }

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
        *) [ -e "$file" ] || problem "$file ($kind) is not there and cannot be made by this script." ;;
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
    if [ "$acl" != - ] && [ -n "$setfacl" ]; then
        unlock "$file"
        setfacl -m "$acl" -- "$file" && chmod "$mode" -- "$file" ||
            problem "The ACL of $file could not be set."
    fi
    [ "$xattrs" = - ] || [ -z "$setfattr" ] || shape_attributes
    [ -n "$chattr" ] || return 0
    case $kind in dir | file) ;; *) return 0 ;; esac
    unlock "$file"
    signs=
    [ $((0x$flags & 0x40)) -ne 0 ] && signs=${signs}d
    [ $((0x$flags & 0x80)) -ne 0 ] && signs=${signs}A
    [ $((0x$flags & 0x20)) -ne 0 ] && signs=${signs}a
    [ $((0x$flags & 0x10)) -ne 0 ] && signs=${signs}i
    [ -z "$signs" ] || chattr "+$signs" -- "$file" || problem "The flags of $file could not be set."
}

shape_attributes() {
    rest=$xattrs,
    while [ -n "$rest" ]; do
        pair=${rest%%,*}
        rest=${rest#*,}
        plain "${pair%=*}"
        case $name in system.posix_acl_*) continue ;; esac
        setfattr -h -n "$name" -v "0x${pair##*=}" -- "$file" ||
            problem "The attribute $name of $file could not be set."
    done
}

: >"$work/wanted"
: >"$work/present"
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
    # The parent goes first in this order and takes the rest along.
    if [ -L "$extra" ] || [ -e "$extra" ]; then set_aside "$extra"; fi
done <"$work/extra"

echo "Putting contents back"
each put_back
echo "Putting owners, modes and flags back"
if [ -n "$setfacl" ]; then
    while read -r word value rest; do
        [ "$word" = root ] || continue
        plain "$rest"
        [ -e "$prefix$name" ] || continue
        getfacl -R -s -p -n -- "$prefix$name" 2>/dev/null | while IFS= read -r line; do
            case $line in
                '# file: '*\\*) ;;
                '# file: '*)
                    line=${line#??file: }
                    unlock "$line"
                    setfacl -b -- "$line"
                    ;;
            esac
        done
    done <"$here/restore.list"
fi
each shape

echo "$changed changes made."
[ ! -d "$aside" ] || echo "What was not there then lies in $aside"
if [ "$problems" -ne 0 ]; then
    echo "$problems things could not be put back; they are named above." >&2
    exit 1
fi
[ -n "$prefix" ] || echo "Now run 'systemctl daemon-reload' and restart what runs with other settings, or reboot."
