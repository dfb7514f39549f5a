/** Lines of logs: cut from streams, put together, bounded, found. Pure. */

export interface LogLine {
  /** Counts up; the key of the line. */
  number: number
  /** As the server stamps it; empty when it did not. */
  time: string
  text: string
  /** Which of several logs it is from. */
  source: number
}

/** A line as it comes, before it has its place among others. */
export type CutLine = Pick<LogLine, 'time' | 'text'>

/** The newest lines are kept; what scrolled off long ago is in the download. */
export const MOST_LINES = 20_000

const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ?/
// Colours and cursor movements that programs write for terminals.
// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b\[[0-9;?]*[A-Za-z]/g

/** Cuts a piece of a stream into lines; the last, unfinished line comes back as the rest. */
export function cutPiece(rest: string, piece: string): { lines: CutLine[]; rest: string } {
  const parts = (rest + piece).split('\n')
  const unfinished = parts.pop() ?? ''
  const lines = parts.map((part) => {
    const time = STAMP.exec(part)?.[0] ?? ''
    return { time: time.trim(), text: part.slice(time.length).replace(ESCAPES, '').replace(/\r$/, '') }
  })
  return { lines, rest: unfinished }
}

/** Times differ in how many digits their seconds have; without the zone they are in order as texts. */
const byTime = (line: CutLine): string => line.time.replace(/Z$/, '')

/** Adds lines of one log to those of all, in order of time, and forgets the oldest. */
export function addLines(lines: LogLine[], added: CutLine[], source: number): LogLine[] {
  let number = lines.reduce((most, line) => Math.max(most, line.number), 0)
  const fresh = added.map((line) => ({ ...line, number: (number += 1), source }))
  const [last, first] = [lines.at(-1), fresh[0]]
  const all = [...lines, ...fresh]
  // The lines of one log are in order as they come, stamped or not.
  if (last && first && last.source !== source && byTime(first) < byTime(last))
    all.sort((one, other) => {
      const [a, b] = [byTime(one), byTime(other)]
      return a < b ? -1 : a > b ? 1 : one.number - other.number
    })
  return all.slice(-MOST_LINES)
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
