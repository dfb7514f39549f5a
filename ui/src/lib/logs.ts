/** Lines of a log: cut from a stream, bounded, found. Pure. */

export interface LogLine {
  /** Counts up; the key of the line. */
  number: number
  /** As the server stamps it; empty when it did not. */
  time: string
  text: string
}

/** The newest lines are kept; what scrolled off long ago is in the download. */
export const MOST_LINES = 20_000

const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ?/
// Colours and cursor movements that programs write for terminals.
// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b\[[0-9;?]*[A-Za-z]/g

/** Adds a piece of the stream to the lines; the last, unfinished line comes back as the rest. */
export function addPiece(lines: LogLine[], rest: string, piece: string): { lines: LogLine[]; rest: string } {
  const parts = (rest + piece).split('\n')
  const unfinished = parts.pop() ?? ''
  let number = lines.at(-1)?.number ?? 0
  const added = parts.map((part) => {
    number += 1
    const time = STAMP.exec(part)?.[0] ?? ''
    return { number, time: time.trim(), text: part.slice(time.length).replace(ESCAPES, '').replace(/\r$/, '') }
  })
  return { lines: [...lines, ...added].slice(-MOST_LINES), rest: unfinished }
}

/** The parts of a text, every second one a hit. */
export function splitHits(text: string, query: string): string[] {
  if (query === '') return [text]
  const parts: string[] = []
  const [low, wanted] = [text.toLowerCase(), query.toLowerCase()]
  let from = 0
  for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, from)) {
    parts.push(text.slice(from, at), text.slice(at, at + wanted.length))
    from = at + wanted.length
  }
  return [...parts, text.slice(from)]
}
