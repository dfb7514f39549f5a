/** Notices that the rights of the person changed: what was found out before may be wrong now. */

import { pause } from './backoff'
import { follow } from './explorer/socket'

/** What one sees of these changes with one's roles; a watch of them ends when it does. */
const TELLING = ['management.cattle.io.cluster', 'management.cattle.io.project']
const HUB = 'local'

/** Calls back whenever rights changed, or may have while the connection was away; returns how to stop. */
export function followRights(changed: () => void): () => void {
  const leaving = TELLING.map((resourceType) => followOne(resourceType, changed))
  return () => {
    for (const leave of leaving) leave()
  }
}

function followOne(resourceType: string, changed: () => void): () => void {
  let leave = (): void => undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let attempts = 0
  let wasOver = false
  const begin = (): void => {
    leave = follow(HUB, { resourceType }, '', {
      changed: () => undefined,
      started: () => {
        attempts = 0
        if (wasOver) changed()
      },
      ended: () => {
        leave()
        wasOver = true
        timer = setTimeout(begin, attempts === 0 ? 0 : pause(attempts, Math.random()))
        attempts += 1
      },
    })
  }
  begin()
  return () => {
    clearTimeout(timer)
    leave()
  }
}
