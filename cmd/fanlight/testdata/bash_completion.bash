# What our completion takes from the package bash-completion, for words without
# the characters : and =, so that the test needs a bash alone.

_get_comp_words_by_ref() {
	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	words=("${COMP_WORDS[@]}")
	cword=$COMP_CWORD
}

__ltrim_colon_completions() { :; }

_filedir() {
	local IFS=$'\n'
	COMPREPLY=($(compgen -f -- "$cur"))
}
