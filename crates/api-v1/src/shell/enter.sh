# Runs in the shell's pod, as its user, for each terminal. POSIX: an image of somebody else's may have no bash.
export TERM=xterm-256color
given=/run/drover/kubeconfig
if [ -r "$given" ] && [ -n "$KUBECONFIG" ] && [ ! -e "$KUBECONFIG" ]; then
  # A copy of one's own, so that a context or namespace can be chosen, and nobody else reads it.
  (umask 077 && mkdir -p "${KUBECONFIG%/*}" && cp "$given" "$KUBECONFIG")
  if command -v kubectl >/dev/null 2>&1; then
    cat >"$HOME/.bashrc" <<'END'
PS1='> '
alias k=kubectl
if [ -r /usr/share/bash-completion/bash_completion ]; then . /usr/share/bash-completion/bash_completion; fi
if type _get_comp_words_by_ref >/dev/null 2>&1; then
  . <(kubectl completion bash)
  complete -o default -F __start_kubectl k
fi
END
  fi
fi
if command -v bash >/dev/null 2>&1; then exec bash; fi
exec sh
