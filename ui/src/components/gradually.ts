/** Draws many things a few at a time, so that no single piece of work holds the browser up. */

import { onScopeDispose, shallowRef, watch, type ShallowRef } from 'vue'

/** New ones for the first frame; how many follow depends on how long that took. */
const FIRST = 6
const [LEAST, MOST] = [2, 12]
/** Milliseconds between two frames, above which fewer are drawn at once, and below which more. */
const [SLOW, FAST] = [36, 22]

/** Of those wanted, those that may be drawn by now. What is drawn stays so as long as it is wanted. */
export function useGradually(wanted: () => string[]): ShallowRef<Set<string>> {
  const drawn = shallowRef(new Set<string>())
  let frame = 0
  let each = FIRST
  const step = (): void => {
    frame = 0
    const all = wanted()
    const kept = new Set(all.filter((one) => drawn.value.has(one)))
    const fresh = all.filter((one) => !kept.has(one))
    if (fresh.length === 0 && kept.size === drawn.value.size) return
    drawn.value = new Set([...kept, ...fresh.slice(0, each)])
    if (fresh.length <= each) return
    const begun = performance.now()
    frame = requestAnimationFrame(() => {
      const took = performance.now() - begun
      if (took > SLOW) each = Math.max(LEAST, Math.floor(each / 2))
      else if (took < FAST) each = Math.min(MOST, each * 2)
      step()
    })
  }
  watch(
    () => wanted().join('\n'),
    () => {
      if (frame === 0) step()
    },
    { immediate: true },
  )
  onScopeDispose(() => cancelAnimationFrame(frame))
  return drawn
}
