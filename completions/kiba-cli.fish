# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_kiba_cli_global_optspecs
    string join \n h= p= s= a/pass= user= u= n= 2 3 askpass no-auth-warning r= i= x X= quoted-input e eval= c verbose raw no-raw csv json quoted-json d= D= show-pushes= stat latency latency-history latency-dist intrinsic-latency= pipe pipe-timeout= bigkeys memkeys memkeys-samples= hotkeys scan pattern= quoted-pattern= count= type= help v/version watch copy
end

function __fish_kiba_cli_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_kiba_cli_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_kiba_cli_using_subcommand
    set -l cmd (__fish_kiba_cli_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s h -d 'Server host name (default: 127.0.0.1)' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s p -d 'Server port (default: 6464)' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s s -d 'Server socket; stands before host name and port' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s a -l pass -d 'Password; KIBACLI_AUTH or REDISCLI_AUTH in the environment keep it out of the process list' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l user -d 'User name for AUTH; needs a password' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s u -d 'Server address: kiba://[user:password@]host[:port][/db], or redis:// likewise' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s n -d 'Database number' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s r -d 'Execute the command this many times; negative: for ever' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s i -d 'Seconds between repetitions, also per cycle of --scan and --stat and per 100 cycles of --bigkeys and the like' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s X -d 'Read the argument that equals this tag from standard input' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l eval -d 'Send EVAL with the Lua script in this file; keys and arguments follow, separated by a comma' -r -F
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s d -d 'Delimiter between the elements of a raw reply (default: \\n)' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s D -d 'Delimiter between raw replies (default: \\n)' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l show-pushes -d 'Whether RESP3 pushes are shown; the default is yes on a terminal' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l intrinsic-latency -d 'Measure the pauses of this machine itself for this many seconds; no server is needed' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l pipe-timeout -d 'Seconds that --pipe waits for a reply after the last byte was sent; 0: for ever' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l memkeys-samples -d 'As --memkeys, sampling this many elements of a key' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l pattern -d 'Pattern for --scan, --bigkeys, --memkeys and --hotkeys' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l quoted-pattern -d 'As --pattern, written as a quoted string' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l count -d 'COUNT for --scan' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l type -d 'TYPE for --scan' -r
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s 2 -d 'Start the session in RESP2'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s 3 -d 'Start the session in RESP3'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l askpass -d 'Ask for the password on the terminal'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l no-auth-warning -d 'No warning about a password on the command line'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s x -d 'Read the last argument from standard input'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l quoted-input -d 'Take the arguments as quoted strings, so that any byte can be written'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s e -d 'Exit with an error code when the command fails'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s c -d 'Follow the MOVED and ASK redirections of a cluster'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l verbose -d 'Accepted for redis-cli\'s sake'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l raw -d 'Raw replies; the default when standard output is no terminal'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l no-raw -d 'Formatted replies even when standard output is no terminal'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l csv -d 'Replies as CSV'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l json -d 'Replies as JSON; asks for RESP3 unless -2 is given'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l quoted-json -d 'As --json, with strings quoted to plain ASCII'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l stat -d 'Print statistics about the server, one line a second: memory, clients, requests'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l latency -d 'Sample the latency continuously; a single result when standard output is no terminal'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l latency-history -d 'As --latency, a new line every 15 seconds (or -i)'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l latency-dist -d 'The latency as a spectrum, in 256 colours'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l pipe -d 'Send raw protocol from standard input to the server'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l bigkeys -d 'Look for keys with many elements'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l memkeys -d 'Look for keys that take much memory'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l hotkeys -d 'Look for hot keys; needs an LFU maxmemory-policy'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l scan -d 'List all keys by SCAN'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l help -d 'Print this help'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -s v -l version -d 'Print the version'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l watch -d 'Run a command again and again and mark what changed; --watch --help says how'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -l copy -d 'Copy keys from one server to another; --copy --help says how'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -f -a "top" -d 'A full-screen dashboard: load, latency, memory, keyspace, slow log'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -f -a "bench" -d 'Generate load and measure throughput and latency'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -f -a "peek" -d 'What a key is, what it costs, and how it begins'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -f -a "diff" -d 'Print every difference between two servers'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -f -a "verify" -d 'Check that two servers hold the same; a summary and an exit code'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -f -a "doctor" -d 'Look for risks in the server\'s configuration, its health and the machine'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -f -a "completions" -d 'Print a shell\'s completion script'
complete -c kiba-cli -n "__fish_kiba_cli_needs_command" -f -a "man" -d 'Print the man page'
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand top" -l interval -d 'Seconds between two refreshes' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand top" -s h -d 'Server host name (default: 127.0.0.1)' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand top" -s p -d 'Server port (default: 6464)' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand top" -s s -d 'Server socket; stands before host name and port' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand top" -s a -l pass -d 'Password; KIBACLI_AUTH or REDISCLI_AUTH in the environment keep it out of the process list' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand top" -l user -d 'User name for AUTH; needs a password' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand top" -s u -d 'Server address: kiba://[user:password@]host[:port][/db], or redis:// likewise' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand top" -l once -d 'Print one screen of 80 x 24 as text and end'
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand top" -l help -d 'Print help'
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -s c -l clients -d 'Connections' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -s n -l requests -d 'Requests in all' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -l duration -d 'Run for this many seconds instead of a number of requests' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -s P -l pipeline -d 'Requests that a client sends before it waits for their replies' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -l rate -d 'Requests a second of all clients together; latency then counts from when a request was due' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -s t -l mix -d 'Commands with their weights' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -s k -l keys -d 'Keys that requests choose from' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -l zipf -d 'Exponent of a Zipf distribution over the keys; 0: all keys alike' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -l value-size -d 'Bytes of a value' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -l prefix -d 'What keys begin with' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -l seed -d 'Seed of the random choices; the same seed gives the same requests' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -s h -d 'Server host name (default: 127.0.0.1)' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -s p -d 'Server port (default: 6464)' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -s s -d 'Server socket; stands before host name and port' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -s a -l pass -d 'Password; KIBACLI_AUTH or REDISCLI_AUTH in the environment keep it out of the process list' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -l user -d 'User name for AUTH; needs a password' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -s u -d 'Server address: kiba://[user:password@]host[:port][/db], or redis:// likewise' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -l fill -d 'Set every key once before the measurement'
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -l json -d 'The result as JSON'
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand bench" -l help -d 'Print help'
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand peek" -l head -d 'Elements, or lines of a text, that are shown' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand peek" -s h -d 'Server host name (default: 127.0.0.1)' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand peek" -s p -d 'Server port (default: 6464)' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand peek" -s s -d 'Server socket; stands before host name and port' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand peek" -s a -l pass -d 'Password; KIBACLI_AUTH or REDISCLI_AUTH in the environment keep it out of the process list' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand peek" -l user -d 'User name for AUTH; needs a password' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand peek" -s u -d 'Server address: kiba://[user:password@]host[:port][/db], or redis:// likewise' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand peek" -l help -d 'Print help'
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand diff" -l match -d 'Only keys that match this pattern' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand diff" -l batch -d 'Keys in one batch' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand diff" -l ttl-slack -d 'Differences in the remaining time to live up to this many seconds do not count' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand diff" -l help -d 'Print help'
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand verify" -l match -d 'Only keys that match this pattern' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand verify" -l batch -d 'Keys in one batch' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand verify" -l ttl-slack -d 'Differences in the remaining time to live up to this many seconds do not count' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand verify" -l help -d 'Print help'
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand doctor" -s h -d 'Server host name (default: 127.0.0.1)' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand doctor" -s p -d 'Server port (default: 6464)' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand doctor" -s s -d 'Server socket; stands before host name and port' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand doctor" -s a -l pass -d 'Password; KIBACLI_AUTH or REDISCLI_AUTH in the environment keep it out of the process list' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand doctor" -l user -d 'User name for AUTH; needs a password' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand doctor" -s u -d 'Server address: kiba://[user:password@]host[:port][/db], or redis:// likewise' -r
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand doctor" -l help -d 'Print help'
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand completions" -l help -d 'Print help'
complete -c kiba-cli -n "__fish_kiba_cli_using_subcommand man" -l help -d 'Print help'
