/** Draws many things a few at a time, so that no single piece of work holds the browser up. */

import { onScopeDispose, shallowRef, watch, type ShallowRef } from 'vue'

/** New ones for each frame: what a slow machine draws well within 50 ms. */
const EACH = 8

/** Of those wanted, those that may be drawn by now. What is drawn stays so as long as it is wanted. */
export function useGradually(wanted: () => string[]): ShallowRef<Set<string>> {
  const drawn = shallowRef(new Set<string>())
  let frame = 0
  const step = (): void => {
    frame = 0
    const all = wanted()
    const kept = new Set(all.filter((one) => drawn.value.has(one)))
    const fresh = all.filter((one) => !kept.has(one))
    if (fresh.length === 0 && kept.size === drawn.value.size) return
    drawn.value = new Set([...kept, ...fresh.slice(0, EACH)])
    if (fresh.length > EACH) frame = requestAnimationFrame(step)
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
