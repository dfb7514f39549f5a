/**
 * Requests to the server this page came from.
 *
 * Owns cookies' CSRF token, error bodies of both kinds (the Norman API's and
 * Kubernetes' `Status`), and what a lost session or connection means.
 */

import { t } from '@/texts'

/** One of the things that were wrong. */
export interface Cause {
  /** The field, as the server names it; empty when it is the whole object. */
  field: string
  message: string
}

/** What the server said when it refused. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** The field that is wrong, as the server names it. */
    readonly field?: string,
    /** All that is wrong, where the server names each. */
    readonly causes: Cause[] = [],
  ) {
    super(message)
    this.name = 'ApiError'
  }
}

/** The server did not answer at all. */
export class ConnectionError extends Error {
  constructor(cause: unknown) {
    super('no connection', { cause })
    this.name = 'ConnectionError'
  }
}

export interface RequestOptions {
  body?: unknown
  /** Content-Type of the body; JSON when absent. */
  type?: string
  accept?: string
  signal?: AbortSignal
}

const listeners = new Set<() => void>()

/** Calls back when a request shows that nobody is signed in any more. */
export function onSignedOut(listener: () => void): void {
  listeners.add(listener)
}

/** The answer, if it is a good one. */
export async function fetchOk(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
  const headers = new Headers({ Accept: options.accept ?? 'application/json' })
  let body: string | undefined
  if (options.body !== undefined) {
    headers.set('Content-Type', options.type ?? 'application/json')
    body = typeof options.body === 'string' ? options.body : JSON.stringify(options.body)
  }
  if (method !== 'GET') headers.set('X-Api-Csrf', cookie('CSRF'))
  const init: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store' }
  if (body !== undefined) init.body = body
  if (options.signal) init.signal = options.signal
  let response: Response
  try {
    response = await fetch(path, init)
  } catch (error) {
    if (options.signal?.aborted) throw error
    throw new ConnectionError(error)
  }
  if (response.ok) return response
  const refused = await refusal(response)
  // Who is signed in and may not enter a cluster is refused by the same number.
  const isKnown = response.headers.get('X-API-Cattle-Auth') === 'true'
  if (refused.status === 401 && !isKnown && !path.startsWith('/v3-public')) for (const listener of listeners) listener()
  // Its cookie goes with the session: whoever signed out in another window comes here without one.
  if (refused.code === 'InvalidCSRFToken') void checkSession()
  throw refused
}

/** Asks whether anybody is still signed in; if not, those who wait for that are called. */
export async function checkSession(): Promise<void> {
  await fetchOk('GET', '/v3/users?me=true').catch(() => undefined)
}

/** The answer's JSON; `undefined` for an empty answer. */
export async function request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
  const response = await fetchOk(method, path, options)
  const text = await response.text().catch((error: unknown) => {
    // The connection was lost in the midst of the answer.
    throw options.signal?.aborted ? error : new ConnectionError(error)
  })
  return (text === '' ? undefined : JSON.parse(text)) as T
}

/** Whether an error says that there is no connection (to the server, or from it to the cluster). */
export function isOffline(error: unknown): boolean {
  return error instanceof ConnectionError || (error instanceof ApiError && [502, 503, 504].includes(error.status))
}

/** Whether the same request may go well in a moment: nothing was wrong with it. */
export function isPassing(error: unknown): boolean {
  return isOffline(error) || (error instanceof ApiError && (error.status === 429 || error.status >= 500))
}

/** An error in words for people. */
export function messageOf(error: unknown): string {
  if (error instanceof ConnectionError) return t.app.unreachable
  return error instanceof Error ? error.message : String(error)
}

/** A websocket URL of this server. */
export function socketUrl(path: string): string {
  return `${location.protocol === 'http:' ? 'ws' : 'wss'}://${location.host}${path}`
}

/** Errors of the Norman API, of Kubernetes, and of the proxy into clusters, which capitalises its fields as the peer's does. */
interface ErrorBody {
  code?: unknown
  reason?: string
  message?: string
  fieldName?: string
  details?: { causes?: { field?: string; message?: string }[] }
  Code?: { Code?: string }
  Message?: string
  FieldName?: string
}

async function refusal(response: Response): Promise<ApiError> {
  const { status } = response
  const text = await response.text()
  let body: ErrorBody
  try {
    const parsed: unknown = JSON.parse(text)
    body = typeof parsed === 'object' && parsed !== null ? parsed : {}
  } catch {
    // A page of whoever stands before the server is nothing to read.
    body = { message: /^\s*</.test(text) ? '' : text.trim().slice(0, 500) }
  }
  const code = typeof body.code === 'string' ? body.code : (body.Code?.Code ?? body.reason ?? String(status))
  const causes = (body.details?.causes ?? []).map(({ field = '', message = '' }) => ({
    field: field === '[]' || field === '<nil>' ? '' : field,
    message,
  }))
  const message = wordsOf(status, code, body.message || body.Message || '', response.headers.get('Retry-After'))
  return new ApiError(status, code, message, body.fieldName || body.FieldName || undefined, causes)
}

/** What a refusal says to people; over HTTP/2 there are no words beside the number. Pure. */
export function wordsOf(status: number, code: string, message: string, retryAfter: string | null): string {
  if (code === 'ClusterUnavailable') return t.refusals.clusterAway
  if (status === 413) return t.refusals.tooLarge(/\d{4,}/.exec(message)?.[0])
  if (status === 429) {
    const seconds = Number(retryAfter)
    return seconds > 0 ? t.refusals.tooMany(Math.ceil(seconds)) : message || t.refusals.tooManyNow
  }
  return message || t.refusals.byStatus[status] || t.refusals.other(status)
}

function cookie(name: string): string {
  const pair = document.cookie.split('; ').find((one) => one.startsWith(`${name}=`))
  return pair?.slice(name.length + 1) ?? ''
}
