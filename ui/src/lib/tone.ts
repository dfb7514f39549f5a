/** Which colour a word about a state deserves. */

export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'idle'

const WORDS: Record<Exclude<Tone, 'idle'>, string[]> = {
  good: [
    'active',
    'running',
    'ready',
    'bound',
    'available',
    'complete',
    'completed',
    'succeeded',
    'healthy',
    'normal',
    'true',
    'established',
  ],
  busy: [
    'pending',
    'provisioning',
    'waiting',
    'containercreating',
    'podinitializing',
    'terminating',
    'removing',
    'activating',
    'updating',
    'initializing',
    'progressing',
    'configuring',
    'scheduling',
    'reconciling',
    'suspended',
  ],
  warn: ['warning', 'unknown', 'schedulingdisabled', 'cordoned', 'drained', 'released', 'paused', 'disabled'],
  bad: [
    'error',
    'failed',
    'crashloopbackoff',
    'imagepullbackoff',
    'errimagepull',
    'oomkilled',
    'evicted',
    'notready',
    'unavailable',
    'lost',
    'createcontainerconfigerror',
    'createcontainererror',
    'invalidimagename',
    'runcontainererror',
    'containerstatusunknown',
    'inactive',
  ],
}

/** What something in trouble says of itself. */
export const BAD_WORDS: readonly string[] = WORDS.bad

const TONES = new Map<string, Tone>(
  Object.entries(WORDS).flatMap(([tone, words]) => words.map((word) => [word, tone as Tone] as const)),
)

/** Columns whose cells are states. */
const STATE_COLUMNS = new Set(['status', 'state', 'phase', 'condition', 'type', 'reason', 'suspend'])

/** The tone of a state word; a list such as `Ready,SchedulingDisabled` has the worst of its parts. */
export function toneOf(word: string): Tone {
  const parts = word.split(',').map((part) =>
    part
      .trim()
      .toLowerCase()
      .replace(/^init:/, '')
      .replaceAll(' ', ''),
  )
  const order: Tone[] = ['bad', 'warn', 'busy', 'good']
  const tones = parts.map((part) => TONES.get(part) ?? 'idle')
  return order.find((tone) => tones.includes(tone)) ?? 'idle'
}

/** The tone of a cell in a list, `undefined` where the column says nothing about a state. */
export function cellTone(resource: string, column: string, value: unknown): Tone | undefined {
  const name = column.toLowerCase()
  const text = String(value ?? '')
  const share = /^(\d+)\/(\d+)$/.exec(text)
  if (share && (name === 'ready' || name === 'completions')) {
    const [have, want] = [Number(share[1]), Number(share[2])]
    if (have >= want) return want === 0 ? 'idle' : 'good'
    return have === 0 ? 'bad' : 'busy'
  }
  if (resource === 'events') return name === 'type' ? toneOf(text) : undefined
  if (name === 'type' || name === 'reason' || name === 'suspend') return undefined
  return STATE_COLUMNS.has(name) && text !== '' ? toneOf(text) : undefined
}
