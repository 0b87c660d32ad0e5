#!/bin/sh
# The dead-man's switch of harden-tui: takes a guarded change back unless it was confirmed.
#
#     guard.sh deadline    from a timer or a watcher, at the deadline or some time before it
#     guard.sh boot        from a unit of its own, after the next boot; after a soft reboot, which
#                          starts no kernel and so is no boot, it waits as above
#
# It asks harden-tui to take the change back, and where that does not succeed (no Python, a broken
# package, a service manager that does not answer) it uses the restore points' restore.sh and the
# commands of live.sh. It needs a POSIX shell, coreutils and flock, and goes by the time since boot,
# which no clock that is set or stands still can change.
#
# It has to write nothing here: a disk that is full or read-only keeps nothing from being taken back
# that can be. What it says and what it must know again goes to /run/harden-tui then, and where a
# restore.sh failed for want of room it is tried again until there is some.
#
# Beside it lie: armed (there is something to take back), boot (the boot it was armed in), deadline
# (seconds since boot), worker (process number and start time of whoever is making the change),
# program (the words that start harden-tui), points (restore points, latest first; none of a
# practice host, whose files are not this machine's), live.sh.
set -u
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C.UTF-8
export PATH LC_ALL

PROGRAM_LIMIT_S=600
COMMAND_LIMIT_S=60
BUSY_LIMIT_S=20
FIRST_PAUSE_S=5
LONGEST_PAUSE_S=60
ROOM_BYTES=262144
# How a restore.sh ends, and so do we, for which there is no room.
NO_ROOM=75

spare=/run/harden-tui
log=fired.log

# say WORDS: for the journal, too.
say() {
    echo "$*"
    { echo "$(date -u +%FT%TZ) $*" >>"$log"; } 2>/dev/null
}

# can_write FILE: it is there then.
can_write() { (: >>"$1") 2>/dev/null; }

# has_room: whether harden-tui could write here what it must.
has_room() {
    { head -c "$ROOM_BYTES" /dev/zero >room; } 2>/dev/null
    status=$?
    rm -f room 2>/dev/null
    return "$status"
}

# choose_log: a file that takes words, in $log.
choose_log() {
    log=fired.log
    if has_room && can_write "$log"; then return 0; fi
    mkdir -p "$spare" 2>/dev/null
    log=$spare/fired.log
    can_write "$log" || log=/dev/null
}

# mark NAME: something that must be known until all of this is over; where it cannot be written
# here, in /run, with what names this guard.
mark() {
    ! can_write "$1" || return 0
    mkdir -p "$spare" && cat points deadline >"$spare/$1"
}

# is_marked NAME: whether it was, in this boot.
is_marked() {
    is_same_boot || return 1
    [ ! -e "$1" ] || return 0
    [ -f "$spare/$1" ] && [ "$(cat points deadline)" = "$(cat "$spare/$1")" ]
} 2>/dev/null

# uptime_s: whole seconds since boot, in $up.
uptime_s() {
    read -r up rest </proc/uptime
    up=${up%%.*}
}

is_same_boot() { [ "$(cat boot 2>/dev/null)" = "$(cat /proc/sys/kernel/random/boot_id)" ]; }

# left_s: how long it is until the deadline, in $left; a file that cannot be read is no reason to
# wait for ever.
left_s() {
    uptime_s
    until=$(cat deadline 2>/dev/null)
    case $until in '' | *[!0-9]*) until=0 ;; esac
    left=$((until - up))
}

wait_for_deadline() {
    while [ -e armed ]; do
        left_s
        [ "$left" -gt 0 ] || return 0
        # In short sleeps: whoever confirms or moves the deadline is noticed.
        [ "$left" -lt 2 ] || left=2
        sleep "$left"
    done
}

# end_worker: whoever still makes the change has had its time.
end_worker() {
    read -r pid start 2>/dev/null <worker || return 0
    [ -r "/proc/$pid/stat" ] || return 0
    stat=$(cat "/proc/$pid/stat" 2>/dev/null)
    set -- ${stat##*) }
    [ "${20:-}" = "$start" ] || return 0
    say "process $pid was still at work and is ended"
    kill -KILL "$pid"
}

# run WORDS: that one command fails keeps no other from running.
run() {
    [ "$manager" = yes ] || [ "$1" != systemctl ] || return 0
    timeout -k 5 "$COMMAND_LIMIT_S" "$@" >>"$log" 2>&1 </dev/null 9>&- ||
        say "\`$*\` ended with exit status $?"
}

# ask_manager: whether systemd runs and answers, in $manager.
ask_manager() {
    manager=no
    [ -d /run/systemd/system ] || return 0
    timeout -k 5 20 systemctl is-system-running >/dev/null 2>&1 9>&-
    if [ $? -lt 124 ]; then manager=yes; else say "the service manager does not answer"; fi
}

by_program() {
    [ -s program ] || return 1
    [ "$manager" = yes ] || [ ! -d /run/systemd/system ] || return 1
    set --
    while IFS= read -r word; do set -- "$@" "$word"; done <program
    uptime_s
    until=$((up + BUSY_LIMIT_S))
    while :; do
        timeout -k 5 "$PROGRAM_LIMIT_S" "$@" recover --yes >>"$log" 2>&1 </dev/null 9>&-
        status=$?
        say "harden-tui recover: exit status $status"
        # Off: all of ours went back, whatever became of older changes.
        [ -e armed ] || return 0
        # 3: another harden-tui is at work, or a package tool whose packages hang on it.
        uptime_s
        [ "$status" -eq 3 ] && [ "$up" -lt "$until" ] || return 1
        sleep 5
    done
}

# wake_sshd: without a service manager the listener itself is told, or started where there is none.
wake_sshd() {
    pid=$(cat /run/sshd.pid 2>/dev/null)
    if [ -n "$pid" ] && kill -HUP "$pid" 2>/dev/null; then return 0; fi
    [ -x /usr/sbin/sshd ] || return 0
    mkdir -p /run/sshd && run /usr/sbin/sshd
}

# put_rules_back: the packet filter's, by its own tools.
put_rules_back() {
    if [ -s rules.nft ] && command -v nft >/dev/null; then run nft -f rules.nft; fi
    for program in iptables:rules.v4 ip6tables:rules.v6; do
        rules=${program#*:}
        program=${program%:*}-restore
        if [ -s "$rules" ] && command -v "$program" >/dev/null; then run "$program" "$rules"; fi
    done
}

by_script() {
    if [ ! -e points ]; then
        say "there are no restore points to put back by hand"
        has_room || return "$NO_ROOM"
        return 1
    fi
    ended=0
    say "the restore points are put back by their restore.sh"
    # Before the files, too: a tool that came with the change goes with its link in /etc/alternatives.
    put_rules_back
    # One that is damaged keeps neither an earlier one from its turn nor the daemons from what came
    # back: it has put back all of which it could be sure. The switch is off afterwards even so: at
    # the next boot nothing more could be had, and what a person mended meanwhile would be undone.
    while IFS= read -r point; do
        sh "$point/restore.sh" >>"$log" 2>&1 </dev/null 9>&-
        status=$?
        [ "$status" -ne 0 ] || continue
        say "$point/restore.sh ended with exit status $status: what it names above is not put back"
        if [ "$status" -eq "$NO_ROOM" ]; then ended=$NO_ROOM; else mark incomplete; fi
    done <points
    run systemctl daemon-reload
    put_rules_back
    . ./live.sh
    [ "$manager" = yes ] || wake_sshd
    [ "$ended" -eq 0 ] || return "$ended"
    mark by-script
    rm -f armed 2>/dev/null
    sync
}

# take_back: fails with $NO_ROOM where another try may do it.
take_back() {
    choose_log
    say "taking back what was not confirmed ($why)"
    end_worker
    ask_manager
    if has_room; then
        echo "$why" >why
        by_program && return 0
    else
        say "$PWD has no room, so harden-tui is not asked"
    fi
    by_script
}

main() {
    cd "$(dirname "$0")" || exit 1
    [ -e armed ] || exit 0
    case ${1:-} in
        deadline) ! is_same_boot || wait_for_deadline ;;
        # A soft reboot ends the watcher, and has the timer begin anew, in the same boot.
        boot) ! is_same_boot || wait_for_deadline ;;
        *)
            echo "guard.sh: deadline or boot?" >&2
            exit 2
            ;;
    esac
    [ -e armed ] || exit 0
    # The directory itself: nothing has to be written for it.
    exec 9<.
    flock 9
    # The other one was quicker, or somebody confirmed or moved the deadline in the last moment.
    if [ ! -e armed ] || is_marked by-script; then exit 0; fi
    if is_same_boot; then
        left_s
        if [ "$left" -gt 0 ]; then exec sh ./guard.sh "$@" 9>&-; fi
        why=deadline
    else
        why=boot
    fi
    pause=$FIRST_PAUSE_S
    until take_back; do
        status=$?
        [ "$status" -eq "$NO_ROOM" ] || exit "$status"
        say "there was no room for all of it; another try follows in $pause s"
        sleep "$pause" 9>&-
        [ -e armed ] || exit 0
        pause=$((pause * 2))
        [ "$pause" -le "$LONGEST_PAUSE_S" ] || pause=$LONGEST_PAUSE_S
    done
}

main "$@"
exit
