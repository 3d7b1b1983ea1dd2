# Stand-in for the functions that the scripts of a job share. shellcheck shell=bash

retry_command() {
    local tries=3
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 1
    done
}
