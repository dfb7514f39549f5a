/** Lines of `name=value`, as people type them; empty lines are skipped. Fails naming the line that is none. */
export function pairsOf(text: string): Record<string, string> {
  const pairs: Record<string, string> = {}
  for (const line of text
    .split('\n')
    .map((one) => one.trim())
    .filter(Boolean)) {
    const at = line.indexOf('=')
    if (at <= 0) throw new Error(`${line}: name=value`)
    pairs[line.slice(0, at).trim()] = line.slice(at + 1).trim()
  }
  return pairs
}
