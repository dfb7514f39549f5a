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

/** Asks before a page is left, here and by the browser, while `isUnsaved` holds. */
export function useUnsaved(isUnsaved: () => boolean): void {
  const router = useRouter()
  const warn = (event: BeforeUnloadEvent): void => {
    if (isUnsaved()) event.preventDefault()
  }
  window.addEventListener('beforeunload', warn)
  const release = router.beforeEach(async (to, from) => {
    if (!isUnsaved() || !leavesPage(to, from)) return true
    return ask({ title: t.unsaved.title, text: t.unsaved.text, confirm: t.unsaved.leave, danger: true })
  })
  onBeforeUnmount(() => {
    window.removeEventListener('beforeunload', warn)
    release()
  })
}
