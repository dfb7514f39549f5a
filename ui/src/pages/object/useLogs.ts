/** The lines of several logs put together, followed for as long as the component lives. */

import { computed, onScopeDispose, ref, shallowRef, watch, type ComputedRef, type ShallowRef } from 'vue'

import { followLog, type LogPhase, type LogSource } from '@/data/kubernetes/logs'
import { addLines, type CutLine, type LogLine } from '@/lib/logs'

export interface Logs {
  lines: ShallowRef<LogLine[]>
  /** What the lines of each source are called, by the number they carry. */
  names: ShallowRef<string[]>
  /** The worst there is to say; of several logs some may well have ended. */
  state: ComputedRef<{ phase: LogPhase; message: string }>
}

/** Milliseconds in which lines gather, so that a log that rushes past is drawn a few times a second. */
const GATHER = 80
/** Lines from which on each drawing costs more, and the milliseconds between two of them then. */
const [MANY, LONGER] = [20_000, 400]
const ORDER: LogPhase[] = ['failed', 'lost', 'loading', 'live', 'ended']

const keyOf = ({ cluster, namespace, pod, container }: LogSource): string => [cluster, namespace, pod, container].join('/')

/** `first` is how many lines are read before the log is followed, of all logs together. */
export function useLogs(sources: () => LogSource[], previous: () => boolean, first: () => number): Logs {
  const lines = shallowRef<LogLine[]>([])
  const names = shallowRef<string[]>([])
  const states = ref<Record<string, { phase: LogPhase; message: string }>>({})
  /** Those that are read, by key. */
  const reading = new Map<string, AbortController>()
  const waiting: { added: CutLine[]; source: number }[] = []
  let timer: ReturnType<typeof setTimeout> | undefined

  function flush(): void {
    timer = undefined
    // A log that is read from far back comes in many pieces.
    const bySource = new Map<number, CutLine[]>()
    for (const { added, source } of waiting.splice(0)) {
      const known = bySource.get(source)
      if (known) for (const line of added) known.push(line)
      else bySource.set(source, [...added])
    }
    lines.value = [...bySource].reduce((all, [source, added]) => addLines(all, added, source), lines.value)
  }

  /** Lines that were read stay: what a pod said last is what one looks for when it is gone. */
  function stop(goes: (key: string) => boolean): void {
    for (const [key, abort] of reading) {
      if (!goes(key)) continue
      abort.abort()
      reading.delete(key)
      const { [key]: _, ...rest } = states.value
      states.value = rest
    }
  }

  function nameOf(source: LogSource): string {
    const several = sources().some((one) => one.pod === source.pod && one.container !== source.container)
    return several ? `${source.pod} ${source.container}` : source.pod
  }

  function start(): void {
    const each = Math.ceil(first() / Math.max(1, sources().length))
    for (const one of sources()) {
      const key = keyOf(one)
      if (reading.has(key)) continue
      const source = names.value.length
      names.value = [...names.value, nameOf(one)]
      const abort = new AbortController()
      reading.set(key, abort)
      states.value = { ...states.value, [key]: { phase: 'loading', message: '' } }
      const reader = {
        lines: (added: CutLine[]) => {
          if (abort.signal.aborted) return
          waiting.push({ added, source })
          timer ??= setTimeout(flush, lines.value.length > MANY ? LONGER : GATHER)
        },
        phase: (phase: LogPhase, said: string) => {
          // Of several logs one says which it is.
          const message = said !== '' && sources().length > 1 ? `${nameOf(one)}: ${said}` : said
          if (!abort.signal.aborted) states.value = { ...states.value, [key]: { phase, message } }
        },
      }
      void followLog(one, { previous: previous(), first: each }, reader, abort.signal)
    }
  }

  watch([previous, first], () => {
    stop(() => true)
    waiting.length = 0
    lines.value = []
    names.value = []
    start()
  })
  watch(
    () => sources().map(keyOf).join(' '),
    () => {
      const wanted = new Set(sources().map(keyOf))
      stop((key) => !wanted.has(key))
      start()
    },
    { immediate: true },
  )
  onScopeDispose(() => {
    clearTimeout(timer)
    stop(() => true)
  })

  const state = computed(() => {
    const all = Object.values(states.value)
    const phase = ORDER.find((one) => all.some((each) => each.phase === one)) ?? 'loading'
    return { phase, message: all.find((one) => one.phase === phase)?.message ?? '' }
  })
  return { lines, names, state }
}
