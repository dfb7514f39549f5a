/** Keeps edits from being lost: whoever leaves while something is not saved is asked first. */

import { onBeforeUnmount } from 'vue'
import { useRouter, type RouteLocationNormalized } from 'vue-router'

import { t } from '@/texts'

import { ask } from './notices'

/** Parts of a query that, when they change, put something else in the place of what is edited. */
const PLACES = ['tab', 'kind', 'from']

/** Whether going from one place to another takes away what is on the page. Pure. */
export function leavesPage(
  to: Pick<RouteLocationNormalized, 'path' | 'query'>,
  from: Pick<RouteLocationNormalized, 'path' | 'query'>,
): boolean {
  return to.path !== from.path || PLACES.some((key) => to.query[key] !== from.query[key])
}

/** What is asked of everything that may hold something unsaved. */
const holders = new Set<() => boolean>()

/** Whether anything on the page would be lost with it. */
export function isAnythingUnsaved(): boolean {
  return [...holders].some((isUnsaved) => isUnsaved())
}

/** Lets go of what is not saved: nobody is asked about it any more. Returns how to take that back. */
export function forsakeUnsaved(): () => void {
  const forsaken = [...holders]
  holders.clear()
  return () => {
    for (const one of forsaken) holders.add(one)
  }
}

/** Asks whether to lose what is not saved. */
export function askToLeave(): Promise<boolean> {
  return ask({ title: t.unsaved.title, text: t.unsaved.text, confirm: t.unsaved.leave, danger: true })
}

/** Asks before a page is left, here and by the browser, while `isUnsaved` holds. */
export function useUnsaved(isUnsaved: () => boolean): void {
  const router = useRouter()
  const holds = (): boolean => holders.has(isUnsaved) && isUnsaved()
  const warn = (event: BeforeUnloadEvent): void => {
    if (holds()) event.preventDefault()
  }
  holders.add(isUnsaved)
  window.addEventListener('beforeunload', warn)
  const release = router.beforeEach(async (to, from) => !holds() || !leavesPage(to, from) || askToLeave())
  onBeforeUnmount(() => {
    holders.delete(isUnsaved)
    window.removeEventListener('beforeunload', warn)
    release()
  })
}
