/** Pauses between attempts to connect again: they double up to a limit, with jitter so that many pages do not return at once. */

import { ApiError } from '@/api/http'

const FIRST = 500
const LONGEST = 10_000

/** Milliseconds before attempt number `attempt` (from 0); `chance` is between 0 and 1. */
export function pause(attempt: number, chance: number): number {
  return Math.min(LONGEST, FIRST * 2 ** attempt) * (0.5 + chance / 2)
}

/** Waits, or fails at once when the signal is aborted. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error)
    const abort = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, milliseconds)
    signal.addEventListener('abort', abort)
  })
}

/**
 * Whether the same question may be answered another time: connections come back, rights are given (401 for a cluster one
 * may not enter, 403), what is not there yet is made. What is wrong in itself stays wrong.
 */
export function mayPass(error: unknown): boolean {
  return !(error instanceof ApiError) || error.status >= 500 || [401, 403, 404, 410, 429].includes(error.status)
}

/** Whether the person may not see something: at the moment, or because it is not there for them. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && [401, 403, 404].includes(error.status)
}

/** Asks until there is an answer, with pauses between; nothing once the signal is aborted or the question is wrong in itself. */
export async function untilAnswered<T>(
  ask: () => Promise<T>,
  failed: (error: unknown) => void,
  signal: AbortSignal,
): Promise<T | undefined> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      return await ask()
    } catch (error) {
      if (signal.aborted) return undefined
      failed(error)
      if (!mayPass(error)) return undefined
      await sleep(pause(attempt, Math.random()), signal).catch(() => undefined)
    }
  }
  return undefined
}
