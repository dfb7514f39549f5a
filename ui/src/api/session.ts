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
  /** Who else signed in, in another tab: the browser has one session for all of them. */
  other: User | undefined
}

const state = reactive<State>({ user: undefined, known: false, ended: false, other: undefined })

/** The password of this sign-in, kept only until the first-start page has replaced it. */
let typedPassword: string | undefined

export const session = readonly(state)
export const me = computed(() => state.user)

/** Other tabs of this browser: they share its cookies, and with them who is signed in. */
const tabs = typeof window === 'undefined' ? undefined : new BroadcastChannel('session')
if (tabs) tabs.onmessage = () => void meetSession()
if (typeof document !== 'undefined') {
  // What happened meanwhile in a window that does not tell, for instance that of another server on this host.
  document.addEventListener('visibilitychange', () => document.hidden || void meetSession())
}

/** Asks the server who we are; the answer is kept. */
export async function loadSession(): Promise<User | undefined> {
  state.user = await whoAmI()
  state.known = true
  state.ended = false
  state.other = undefined
  return state.user
}

async function whoAmI(): Promise<User | undefined> {
  try {
    return (await list<User>('users', { me: 'true' }))[0]
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error
    return undefined
  }
}

/** Finds out who is signed in after another tab may have changed it. Nothing goes on in the name of somebody else. */
async function meetSession(): Promise<void> {
  if (!state.known) return
  // A server that is away says nothing about sessions; each request finds out by itself.
  const now = await whoAmI().catch(() => undefined)
  if (!now) return
  if (state.user && state.user.id !== now.id) {
    state.other = now
    state.ended = true
    return
  }
  state.user = now
  state.ended = false
  state.other = undefined
}

export async function signIn(username: string, password: string): Promise<User | undefined> {
  const body = { username, password, responseType: 'cookie', description: 'web UI' }
  await request('POST', '/v3-public/localProviders/local?action=login', { body })
  // Before anybody is told: who has to change the password is taken to where this is needed.
  typedPassword = password
  const user = await loadSession()
  if (!user?.mustChangePassword) typedPassword = undefined
  tabs?.postMessage('signed in')
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
  tabs?.postMessage('signed out')
}

/** Forgets who was signed in, and with it the page. */
export function leaveSession(): void {
  state.user = undefined
  state.ended = false
  state.other = undefined
}

onSignedOut(() => {
  state.ended = state.user !== undefined
})
