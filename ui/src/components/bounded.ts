/** The first of many things, and more as somebody comes to their end: what nobody looks at is not drawn. */

import { computed, ref, watch, type ComputedRef } from 'vue'

export interface Bounded<T> {
  shown: ComputedRef<T[]>
  /** How many are not shown yet. */
  left: ComputedRef<number>
  more: () => void
  /** For what they scroll in: more of them before one comes to the end. */
  onScroll: (event: Event) => void
}

/** Pixels before the end at which more are drawn. */
const AHEAD = 300

/** `step` of the items at first, and as many more each time; from the beginning again when `list` says that it is another one. */
export function useBounded<T>(items: () => T[], step: number, list: () => unknown = () => undefined): Bounded<T> {
  const bound = ref(step)
  watch(list, () => (bound.value = step))
  const left = computed(() => Math.max(0, items().length - bound.value))
  const more = (): void => void (bound.value += step)
  return {
    shown: computed(() => items().slice(0, bound.value)),
    left,
    more,
    onScroll: ({ currentTarget }) => {
      const { scrollTop, clientHeight, scrollHeight } = currentTarget as HTMLElement
      if (left.value > 0 && scrollTop + clientHeight + AHEAD > scrollHeight) more()
    },
  }
}
