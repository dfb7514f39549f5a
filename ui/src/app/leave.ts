/** Signing out, without losing what somebody typed by a wrong click. */

import type { Router } from 'vue-router'

import { signOut } from '@/api/session'
import { paths } from '@/lib/paths'

import { attempt } from './notices'
import { askToLeave, forsakeUnsaved, isAnythingUnsaved } from './unsaved'

export async function leave(router: Router): Promise<void> {
  if (isAnythingUnsaved() && !(await askToLeave())) return
  const takeBack = forsakeUnsaved()
  if (await attempt(signOut)) await router.push(paths.login)
  else takeBack()
}
