/** Log lines that are JSON, made readable: level and message first, then the other fields. Pure. */

import type { Tone } from './tone'

export interface LinePart {
  kind: 'level' | 'message' | 'field'
  text: string
  tone?: Tone
}

/** What programs call the parts of a line; the first that is there counts. */
const LEVEL = ['level', 'lvl', 'severity', 'log.level', 'loglevel']
const MESSAGE = ['msg', 'message', '@message', 'event', 'text', 'log']
/** Shown by the cluster's own stamp. */
const TIME = new Set(['ts', 'time', 'timestamp', '@timestamp', 't'])
/** Long, and told best on lines of their own. */
const LONG = /stack|trace$|exception/i
/** Longer ones stay as they are: nobody reads them, and parsing them costs. */
const LONGEST = 64 << 10

/** Levels of programs that count them (`pino`, `bunyan`). */
const NUMBERED: Record<string, string> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }
const TONES: [RegExp, Tone][] = [
  [/^(err|crit|fatal|panic|alert|emerg)/, 'bad'],
  [/^warn/, 'warn'],
  [/^(info|notice)/, 'good'],
]

/** The parts of a line in the order they are read; nothing for what is no object in JSON. */
export function readableParts(text: string): LinePart[] | undefined {
  const line = text.trim()
  if (!line.startsWith('{') || !line.endsWith('}') || line.length > LONGEST) return undefined
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
  const levelKey = LEVEL.find((key) => isPlain(fields[key]))
  const messageKey = MESSAGE.find((key) => isPlain(fields[key]))
  if (levelKey === undefined && messageKey === undefined) return undefined
  const parts: LinePart[] = []
  if (levelKey !== undefined) parts.push(levelOf(fields[levelKey]))
  if (messageKey !== undefined) parts.push({ kind: 'message', text: String(fields[messageKey]) })
  const rest = Object.entries(fields).filter(([key]) => key !== levelKey && key !== messageKey && !TIME.has(key))
  const shown = (of: [string, unknown][], before: string): LinePart[] =>
    of.map(([key, value]) => ({ kind: 'field', text: `${before}${key}=${valueText(value)}` }))
  return [
    ...parts,
    ...shown(
      rest.filter(([key]) => !LONG.test(key)),
      '',
    ),
    ...shown(
      rest.filter(([key]) => LONG.test(key)),
      '\n',
    ),
  ]
}

function isPlain(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number'
}

function levelOf(value: unknown): LinePart {
  const text = (NUMBERED[String(value)] ?? String(value)).toLowerCase()
  const tone = TONES.find(([words]) => words.test(text))?.[1]
  return { kind: 'level', text, ...(tone ? { tone } : {}) }
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
