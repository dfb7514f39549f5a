/**
 * Parts of the UI that come when they are first needed.
 *
 * A part that could not be had is asked for again, once there is a connection: nobody loses what is on the page because
 * the server was away for a moment. `loadAhead` fetches the pages while nobody waits for them.
 */

import { defineAsyncComponent, h, watch, type Component } from 'vue'
import type { RouteRecordNormalized } from 'vue-router'

import { pause } from '@/data/backoff'
import { connected } from '@/data/norman/live'
import { t } from '@/texts'

/** How often a part is asked for; one of another build of the server never comes. */
const TRIES = 5

/** What stands in the place of a part that is not there. */
function Absent({ error }: { error?: Error }): Component | ReturnType<typeof h> {
  if (!error) return h('p', { class: 'muted late', role: 'status' }, t.list.loading)
  return h('p', { class: 'note bad', role: 'alert' }, [
    `${t.app.oldPage} `,
    h('button', { type: 'button', class: 'button', onClick: () => location.reload() }, t.app.reload),
  ])
}
Absent.props = ['error']

/** Whether an error says that a part of the UI could not be had; each browser has words of its own. Pure. */
export function isPartMissing(error: unknown): boolean {
  const message = error instanceof Error ? error.message : ''
  return /dynamically imported module|importing a module script failed|unable to preload/i.test(message)
}

/** A component that is loaded when it is first shown. */
export function late<T extends Component>(load: () => Promise<{ default: T }>): T {
  return defineAsyncComponent({
    loader: load,
    loadingComponent: Absent,
    errorComponent: Absent,
    onError: (_, again, fail, attempts) => {
      if (attempts < TRIES) void whenConnected(attempts).then(again)
      else fail()
    },
  }) as T
}

/** Waits for the connection; where there is one, for a moment. */
function whenConnected(attempts: number): Promise<void> {
  return new Promise((resolve) => {
    if (connected.value) {
      setTimeout(resolve, pause(attempts - 1, Math.random()))
      return
    }
    const stop = watch(connected, (now) => {
      if (!now) return
      stop()
      resolve()
    })
  })
}

/** Loads the pages one after another whenever the browser has nothing else to do. */
export function loadAhead(routes: RouteRecordNormalized[]): void {
  const { connection } = navigator as Navigator & { connection?: { saveData?: boolean } }
  if (connection?.saveData) return
  const pages = routes.flatMap(({ components }) => Object.values(components ?? {}))
  const next = (): void => {
    const page = pages.shift()
    if (!page) return
    // What cannot be had now is asked for when somebody goes there.
    const loading = typeof page === 'function' ? (page as () => Promise<unknown>)().catch(() => undefined) : Promise.resolve()
    void loading.then(whenIdle)
  }
  const whenIdle = (): void => {
    if ('requestIdleCallback' in window) requestIdleCallback(next, { timeout: 2000 })
    else setTimeout(next, 200)
  }
  whenIdle()
}
