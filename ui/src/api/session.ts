/** Who is signed in. */

import { computed, reactive, readonly } from 'vue'

import { ApiError, onSignedOut, request } from './http'
import { actOn, list, type User } from './norman'

interface State {
  user: User | undefined
  /** Whether the server was asked yet. */
  known: boolean
  /** The server no longer takes this sign-in; who it was is still known. */
  ended: boolean
}

const state = reactive<State>({ user: undefined, known: false, ended: false })

/** The password of this sign-in, kept only until the first-start page has replaced it. */
let typedPassword: string | undefined

export const session = readonly(state)
export const me = computed(() => state.user)

/** Asks the server who we are; the answer is kept. */
export async function loadSession(): Promise<User | undefined> {
  try {
    const users = await list<User>('users', { me: 'true' })
    state.user = users[0]
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error
    state.user = undefined
  }
  state.known = true
  state.ended = false
  return state.user
}

export async function signIn(username: string, password: string): Promise<User | undefined> {
  const body = { username, password, responseType: 'cookie', description: 'web UI' }
  await request('POST', '/v3-public/localProviders/local?action=login', { body })
  const user = await loadSession()
  typedPassword = user?.mustChangePassword ? password : undefined
  return user
}

/** Whether the page may change the password without asking for the present one again. */
export function knowsPassword(): boolean {
  return typedPassword !== undefined
}

export async function changePassword(newPassword: string, currentPassword = typedPassword ?? ''): Promise<void> {
  await actOn('users', 'changepassword', { currentPassword, newPassword })
  typedPassword = undefined
  await loadSession()
}

export async function signOut(): Promise<void> {
  await request('POST', '/v3/tokens?action=logout', { body: {} })
  leaveSession()
}

/** Forgets who was signed in, and with it the page. */
export function leaveSession(): void {
  state.user = undefined
  state.ended = false
}

onSignedOut(() => {
  state.ended = state.user !== undefined
})
