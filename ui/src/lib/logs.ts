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
export const MOST_LINES = 100_000

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
function byTime({ time }: CutLine): string {
  return time.endsWith('Z') ? time.slice(0, -1) : time
}

/** Adds lines of one log to those of all, in order of time, and forgets the oldest. */
export function addLines(lines: LogLine[], added: CutLine[], source: number, most = MOST_LINES): LogLine[] {
  let number = lines.reduce((most, line) => Math.max(most, line.number), 0)
  const fresh = added.map(({ time, text }) => ({ time, text, number: (number += 1), source }))
  const [last, first] = [lines.at(-1), fresh[0]]
  // The lines of one log are in order as they come, stamped or not.
  const isMixed = last && first && last.source !== source && byTime(first) < byTime(last)
  return (isMixed ? mixed(lines, fresh, byTime(first)) : [...lines, ...fresh]).slice(-most)
}

/** Two logs that are each in order, as one; of two lines of one time that of the first stands first. */
function mixed(lines: LogLine[], fresh: LogLine[], first: string): LogLine[] {
  // What is not later than the first of the new lines stays where it is.
  let at = lines.findLastIndex((line) => byTime(line) <= first) + 1
  const all = lines.slice(0, at)
  for (const line of fresh) {
    const time = byTime(line)
    for (let next = lines[at]; next && byTime(next) <= time; next = lines[at]) {
      all.push(next)
      at += 1
    }
    all.push(line)
  }
  for (const line of lines.slice(at)) all.push(line)
  return all
}

/** Which lines a word is in, kept while more lines come: each line is looked at once. */
export class Finder {
  private readonly found = new Set<number>()
  private seen = 0
  private readonly wanted: string

  constructor(query: string) {
    this.wanted = query.toLowerCase()
  }

  /** The lines with the word, in their order. Numbers count up with each call. */
  among(lines: LogLine[]): LogLine[] {
    if (this.wanted === '') return []
    let most = this.seen
    for (const { number, text } of lines) {
      if (number <= this.seen) continue
      if (text.toLowerCase().includes(this.wanted)) this.found.add(number)
      most = Math.max(most, number)
    }
    this.seen = most
    return this.found.size === 0 ? [] : lines.filter(({ number }) => this.found.has(number))
  }
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
