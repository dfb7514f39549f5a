/** Finding by typing: every typed word must occur; words at the beginning count more. */

/** How well a text matches; 0 when it does not. */
export function score(text: string, query: string): number {
  const haystack = text.toLowerCase()
  let total = 1
  for (const word of query.toLowerCase().split(/\s+/).filter(Boolean)) {
    const at = haystack.indexOf(word)
    if (at < 0) return 0
    const boundary = at === 0 || /[\s/.\-:]/.test(haystack[at - 1] ?? '')
    total += (boundary ? 10 : 1) + (at === 0 ? 5 : 0) + word.length / Math.max(1, haystack.length)
  }
  return total
}

/** The best matches first, at most `limit`; equal ones keep their order. */
export function best<T>(items: T[], query: string, text: (item: T) => string, limit: number): T[] {
  return items
    .map((item, index) => ({ item, index, score: score(text(item), query) }))
    .filter((found) => found.score > 0)
    .sort((one, other) => other.score - one.score || one.index - other.index)
    .slice(0, limit)
    .map((found) => found.item)
}
