/** What an agent found before it connected, as its hub keeps it (`drover.dev/agent-checks` of the cluster). Pure. */

import type { Tone } from './tone'

export interface Check {
  step: string
  outcome: 'ok' | 'warning' | 'failed' | 'skipped'
  mayHeal: boolean
  reason: string
  advice: string
}

const ANNOTATION = 'drover.dev/agent-checks'

export const CHECK_TONES: Record<Check['outcome'], Tone> = { ok: 'good', warning: 'warn', failed: 'bad', skipped: 'idle' }

/** None where the agent told nothing, as another's agent never does. */
export function checksOf(annotations: Record<string, string> | null | undefined): Check[] {
  try {
    const told = JSON.parse(annotations?.[ANNOTATION] ?? '{}') as { checks?: Check[] }
    return (told.checks ?? []).filter((one) => one.outcome in CHECK_TONES)
  } catch {
    // Somebody else wrote there.
    return []
  }
}
