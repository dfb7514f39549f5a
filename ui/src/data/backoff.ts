/** Pauses between attempts to connect again: they double up to a limit, with jitter so that many pages do not return at once. */

const FIRST = 500
const LONGEST = 10_000

/** Milliseconds before attempt number `attempt` (from 0); `chance` is between 0 and 1. */
export function pause(attempt: number, chance: number): number {
  return Math.min(LONGEST, FIRST * 2 ** attempt) * (0.5 + chance / 2)
}

/** Waits, or fails at once when the signal is aborted. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    })
  })
}
