/** The log of a container, followed until it ends or nobody looks. */

import { ApiError, fetchOk, isPassing, messageOf } from '@/api/http'
import { pause, sleep } from '@/data/backoff'
import { cutPiece, type CutLine } from '@/lib/logs'

import { objectPath, PODS } from './objects'

export interface LogSource {
  cluster: string
  namespace: string
  pod: string
  container: string
}

export type LogPhase = 'loading' | 'live' | 'lost' | 'ended' | 'failed'

export interface LogReader {
  lines: (lines: CutLine[]) => void
  phase: (phase: LogPhase, message: string) => void
}

function path({ cluster, namespace, pod, container }: LogSource, more: Record<string, string>): string {
  const query = new URLSearchParams({ container, timestamps: 'true', ...more })
  return `${objectPath(cluster, PODS, namespace, pod)}/log?${query}`
}

/** The whole log as the server has it. */
export async function wholeLog(source: LogSource, previous: boolean): Promise<string> {
  const response = await fetchOk('GET', path(source, previous ? { previous: 'true' } : {}), { accept: '*/*' })
  return response.text()
}

/** Follows a log from its last `first` lines on, also over lost connections. */
export async function followLog(
  source: LogSource,
  { previous, first }: { previous: boolean; first: number },
  reader: LogReader,
  signal: AbortSignal,
): Promise<void> {
  const seen = new Seen()
  for (let attempts = 0; !signal.aborted; attempts += 1) {
    const from: Record<string, string> = seen.time === '' ? { tailLines: String(first) } : { sinceTime: seen.time }
    try {
      const response = await fetchOk(
        'GET',
        path(source, { ...from, ...(previous ? { previous: 'true' } : { follow: 'true' }) }),
        {
          signal,
          accept: '*/*',
        },
      )
      reader.phase('live', '')
      await stream(response, (lines) => reader.lines(seen.fresh(lines)), signal)
      if (!signal.aborted) reader.phase('ended', '')
      return
    } catch (error) {
      if (signal.aborted) return
      const isEarly = error instanceof ApiError && error.status === 400 && error.message.includes('waiting to start')
      if (!isPassing(error) && !isEarly) return reader.phase('failed', messageOf(error))
      reader.phase(isEarly ? 'loading' : 'lost', messageOf(error))
      await sleep(pause(attempts, Math.random()), signal).catch(() => undefined)
    }
  }
}

async function stream(response: Response, take: (lines: CutLine[]) => void, signal: AbortSignal): Promise<void> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  while (reader) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw signal.aborted ? error : new ApiError(503, 'Lost', messageOf(error))
    })
    if (done) break
    const cut = cutPiece(rest, value)
    rest = cut.rest
    if (cut.lines.length > 0) take(cut.lines)
  }
  if (rest !== '') take(cutPiece(rest, '\n').lines)
}

/** The newest lines that were read: after a lost connection the server begins with them once more. */
class Seen {
  time = ''
  private texts = new Set<string>()

  fresh(lines: CutLine[]): CutLine[] {
    return lines.filter(({ time, text }) => {
      if (time === this.time && time !== '') {
        if (this.texts.has(text)) return false
      } else if (time !== '') {
        this.time = time
        this.texts = new Set()
      }
      this.texts.add(text)
      return true
    })
  }
}
