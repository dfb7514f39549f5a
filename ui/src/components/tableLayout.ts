/** Which columns of a list are shown, and how wide they are. */

import { computed, onBeforeUnmount, onMounted, ref, type ComputedRef, type Ref } from 'vue'

import { phone } from '@/app/media'

import { widthOf, type TableColumn } from './table'

/** Pixels of the columns for marks and menus. */
export const MARK = 34
export const MENU = 44

export interface Visible<T> {
  /** By the id of the column. */
  visibility: ComputedRef<Record<string, boolean>>
  visible: ComputedRef<TableColumn<T>[]>
  show: (id: string, on: boolean) => void
}

/** What a person chose of a list, in this browser, by the id of the column. */
function remembered(list: string): Record<string, boolean> {
  try {
    return JSON.parse(localStorage.getItem(`columns ${list}`) ?? '{}') as Record<string, boolean>
  } catch {
    // Somebody else wrote there.
    return {}
  }
}

/** The columns a person chose of a list, else those that are not wide; on a phone the few that fit. */
export function useVisible<T>(list: string, columns: () => TableColumn<T>[]): Visible<T> {
  const shown = ref<Record<string, boolean>>(remembered(list))
  const visibility = computed(() =>
    Object.fromEntries(
      columns().map((column, index) => [
        column.id,
        phone.value ? index === 0 || column.phone === true : (shown.value[column.id] ?? !column.wide),
      ]),
    ),
  )
  return {
    visibility,
    visible: computed(() => columns().filter((column) => visibility.value[column.id])),
    show: (id, on) => {
      shown.value = { ...shown.value, [id]: on }
      localStorage.setItem(`columns ${list}`, JSON.stringify(shown.value))
    },
  }
}

export interface Widths {
  /** Pixels between the edges of the list. */
  room: Ref<number>
  widths: ComputedRef<number[]>
  tableWidth: ComputedRef<number>
}

/** What is left over goes to the column that grows, else to all in proportion. `fixed` is taken by marks and menus. */
export function useWidths<T>(
  scroller: Ref<HTMLElement | null>,
  visible: ComputedRef<TableColumn<T>[]>,
  sample: () => T[],
  fixed: () => number,
): Widths {
  const room = ref(0)
  const observer = new ResizeObserver(([entry]) => (room.value = entry?.contentRect.width ?? 0))
  onMounted(() => scroller.value && observer.observe(scroller.value))
  onBeforeUnmount(() => observer.disconnect())
  const widths = computed(() => {
    const smallest = phone.value ? 110 : 180
    const needed = visible.value.map((column, index) =>
      Math.max(widthOf(column, sample()), index === 0 && !column.moving ? smallest : 0),
    )
    // What tells most stays in sight, however long the names are.
    if (phone.value && room.value > 0) {
      const most = Math.floor(room.value * 0.45)
      const others = needed.slice(1).map((width) => Math.min(width, most))
      const left = room.value - fixed() - others.reduce((total, width) => total + width, 0)
      needed.splice(0, needed.length, Math.min(needed[0] ?? 0, Math.max(smallest, left)), ...others)
    }
    const sum = needed.reduce((total, width) => total + width, 0)
    const extra = Math.max(0, room.value - fixed() - sum)
    const grows = visible.value.findIndex((column) => column.grow)
    return needed.map((width, index) => Math.floor(width + (grows < 0 ? (extra * width) / sum : index === grows ? extra : 0)))
  })
  return { room, widths, tableWidth: computed(() => widths.value.reduce((sum, width) => sum + width, fixed())) }
}
