package command

import (
	"context"
	"io"

	"github.com/urfave/cli/v2"
)

// shells are the shells that completion has a script for.
var shells = []string{"bash", "zsh", "fish"}

func completionCommand() *command {
	return &command{
		name:  "completion",
		usage: "print a shell's completion script",
		args:  "bash|zsh|fish",
		about: "The script asks weir itself for the candidates, so it stays right when weir is upgraded.",
		examples: []example{
			{"weir completion bash > ~/.local/share/bash-completion/completions/weir", "for bash, from the next shell on"},
			{"weir completion zsh > ~/.zfunc/_weir", "for zsh, with ~/.zfunc in fpath"},
			{"weir completion fish > ~/.config/fish/completions/weir.fish", "for fish"},
		},
		words: func(int) []string { return shells },
		prepare: func(c *cli.Context, _ *Std) (runner, error) {
			if c.NArg() != 1 {
				return nil, usagef("name one shell: bash, zsh or fish")
			}
			shell := c.Args().First()
			if err := oneOf("weir completion", shell, shells); err != nil {
				return nil, err
			}
			return func(_ context.Context, std *Std) error {
				_, err := io.WriteString(std.Out, completionScript(shell))
				return err
			}, nil
		},
	}
}

// completionScript returns the script of one of shells.
func completionScript(shell string) string {
	switch shell {
	case "bash":
		return bashScript
	case "zsh":
		return zshScript
	}
	return fishScript
}

// bash splits words at "=" too, so that what is replaced is the part after it.
const bashScript = `# bash completion for weir
_weir() {
    local cur=${COMP_WORDS[COMP_CWORD]} lead="" line
    COMPREPLY=()
    [[ $cur == "=" ]] && cur=""
    if (( COMP_CWORD > 1 )) && [[ ${COMP_WORDS[COMP_CWORD]} == "=" || ${COMP_WORDS[COMP_CWORD-1]} == "=" ]]; then
        lead="--*="
    fi
    local quote=""
    case $cur in
        \'*) quote="'" ;;
        \"*) quote='"' ;;
    esac
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    if [[ -n $quote ]]; then
        words[${#words[@]}-1]=${cur#"$quote"}
    fi
    while IFS= read -r line; do
        if [[ $line == ":files" ]]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r line; do
                COMPREPLY+=("$line")
            done < <(compgen -f -- "$cur")
            return
        fi
        if [[ -n $lead ]]; then
            line=${line#$lead}
        fi
        COMPREPLY+=("$line")
    done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
}
complete -F _weir weir
`

const zshScript = `#compdef weir
_weir() {
    local -a candidates
    candidates=("${(@f)$("${words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ "${candidates[1]}" == ":files" ]]; then
        _files
        return
    fi
    [[ -n "${candidates[1]}" ]] && compadd -- "${candidates[@]}"
}
if [[ "${funcstack[1]}" == "_weir" ]]; then
    _weir "$@"
else
    compdef _weir weir
fi
`

const fishScript = `# fish completion for weir
function __weir_complete
    set -l words (commandline -opc)
    set -l out (weir __complete $words[2..-1] (commandline -ct) 2>/dev/null)
    if test "$out[1]" = ":files"
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $out
    end
end
complete -c weir -f -a '(__weir_complete)'
`
