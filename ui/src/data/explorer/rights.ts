/**
 * What the person may see and do, as `/v1` of the hub and of each cluster shows it.
 *
 * Answers are kept for as long as the rights do not change (`askRightsAgain`); what is known counts until the new answer
 * is there, so that nothing flickers. Where nothing can be found out, nothing is kept from anybody: the server decides.
 */

import { computed, onScopeDispose, shallowRef, watch, type ComputedRef, type ShallowRef } from 'vue'

import { ApiError, request } from '@/api/http'
import { untilAnswered } from '@/data/backoff'

import { base } from './query'

/** Stands for the server itself, in place of a cluster's id. */
export const HUB = ''

interface Kept<T> {
  /** Undefined while it is not known. */
  answer: ShallowRef<T | undefined>
  /** Somebody could not be asked. */
  failed: ShallowRef<boolean>
  users: number
  read: () => void
  close: () => void
}

const kept = new Map<string, Kept<unknown>>()

/** Asks everything again that somebody looks at, after rights changed. */
export function askRightsAgain(): void {
  for (const [key, one] of kept) {
    if (one.users > 0) one.read()
    else drop(key)
  }
}

/** Forgets everything, when another person is signed in. */
export function forgetRightsHeld(): void {
  for (const [key, one] of kept) {
    one.answer.value = undefined
    if (one.users > 0) one.read()
    else drop(key)
  }
}

function drop(key: string): void {
  kept.get(key)?.close()
  kept.delete(key)
}

function keep<T>(key: string, ask: () => Promise<T>): Kept<T> {
  const known = kept.get(key)
  if (known) return known as Kept<T>
  let asking = new AbortController()
  const one: Kept<T> = {
    answer: shallowRef(),
    failed: shallowRef(false),
    users: 0,
    read: () => {
      asking.abort()
      asking = new AbortController()
      const { signal } = asking
      void untilAnswered(ask, () => (one.failed.value = true), signal).then((answer) => {
        if (signal.aborted || answer === undefined) return
        one.answer.value = answer
        one.failed.value = false
      })
    },
    close: () => asking.abort(),
  }
  kept.set(key, one as Kept<unknown>)
  one.read()
  return one
}

/** What is kept under a key that may change, for as long as the calling scope lives. */
function useKept<T>(key: () => string, ask: (key: string) => Promise<T>): ComputedRef<Kept<T>> {
  const open = (name: string): Kept<T> => {
    const one = keep(name, () => ask(name))
    one.users += 1
    return one
  }
  const current = shallowRef(open(key()))
  watch(
    key,
    (now) => {
      current.value.users -= 1
      current.value = open(now)
    },
    { flush: 'sync' },
  )
  onScopeDispose(() => (current.value.users -= 1))
  return computed(() => current.value)
}

/** Which kinds there are for the person in a place. */
export interface Kinds {
  /** Whether that was told; if not, everything counts as seen. */
  known: boolean
  /** By the id of the kind: `deployments.apps`. */
  sees: (id: string) => boolean
}

/** The name of a kind in `/v1`: `apps.deployments`. Pure. */
export function pluralOf(id: string): string {
  const [plural = id, ...group] = id.split('.')
  return [...group, plural].join('.')
}

/** The kinds of a cluster that the person sees, or of the hub. */
export function useKinds(cluster: () => string): ComputedRef<Kinds> {
  const found = useKept(
    () => `kinds ${cluster()}`,
    (key) => kindsOf(key.slice('kinds '.length)),
  )
  return computed<Kinds>(() => {
    const { answer, failed } = found.value
    const names = answer.value
    if (!names) return { known: failed.value, sees: () => failed.value }
    return { known: true, sees: (id: string) => names.has(pluralOf(id)) }
  })
}

/** `/v1` itself: what it has is where its links lead. */
interface Roots {
  data: { links: Record<string, string> }[]
}

/** For how long the server counts on what it knows of a cluster's kinds (`catalog.rs`: ten seconds), and a little more. */
export const KINDS_KEPT_MS = 10_500

/** Asks anew which kinds there are: definitions come and go, and nobody is told. */
export function askKindsAgain(cluster: string): void {
  kept.get(`kinds ${cluster}`)?.read()
}

function placeOf(cluster: string): string {
  return cluster === HUB ? '/v1' : base(cluster)
}

async function kindsOf(cluster: string): Promise<Set<string>> {
  const nothing: Roots = { data: [] }
  const { data } = await request<Roots>('GET', placeOf(cluster)).catch(refusedAs(nothing))
  return new Set(data.flatMap(({ links }) => Object.keys(links)))
}

/** Methods of `/v1` on a kind, some marked as to be done through `/v3`. */
interface Schema {
  collectionMethods?: string[] | null
  resourceMethods?: string[] | null
}

/** What may be done with objects of a kind, somewhere at least. Before that is known, everything. */
export interface Methods {
  create: boolean
  change: boolean
  remove: boolean
}

const ALL: Methods = { create: true, change: true, remove: true }

/** By the type's id: `management.cattle.io.user`, `apps.deployment`; nothing is asked while it is empty. */
export function useMethods(cluster: () => string, type: () => string): ComputedRef<Methods> {
  const found = useKept(
    () => `methods ${cluster()} ${type()}`,
    async (key) => {
      const [, place = '', of = ''] = key.split(' ')
      if (of === '') return ALL
      const path = `${placeOf(place)}/schemas/${encodeURIComponent(of)}`
      return methodsOf(await request<Schema>('GET', path).catch(refusedAs({})))
    },
  )
  return computed(() => found.value.answer.value ?? ALL)
}

/** Pure. */
export function methodsOf({ collectionMethods, resourceMethods }: Schema): Methods {
  const among = (methods: string[] | null | undefined, wanted: string[]): boolean =>
    (methods ?? []).some((method) => wanted.includes(method.replace('blocked-', '')))
  return {
    create: among(collectionMethods, ['POST']),
    change: among(resourceMethods, ['PUT', 'PATCH']),
    remove: among(resourceMethods, ['DELETE']),
  }
}

/** Whether somebody may make objects of a type, as far as is known: who is not told otherwise may try. */
export function useCreatable(type: string, cluster?: () => string): ComputedRef<boolean> {
  const place = (): string => cluster?.() ?? HUB
  const methods = useMethods(place, () => (cluster && place() === '' ? '' : type))
  return computed(() => methods.value.create)
}

/** A question about the rights of the person on the hub. */
export interface Question {
  verb: string
  apiGroup: string
  resource: string
  /** On the hub: what belongs to a cluster is in the namespace of its id. */
  namespace?: string
}

/** Whether the person may do something on the hub; undefined while that is not known, or nothing is asked. */
export function useAllowed(question: () => Question | undefined): ComputedRef<boolean | undefined> {
  const one = useKept(() => (question() ? JSON.stringify(question()) : ''), review)
  return computed(() => (one.value.failed.value ? true : one.value.answer.value))
}

/** Nothing is asked without a question. */
async function review(question: string): Promise<boolean | undefined> {
  if (question === '') return undefined
  const body = { type: 'accessReview', ...(JSON.parse(question) as Question) }
  return (await request<{ allowed: boolean }>('POST', '/v3/accessReviews', { body })).allowed
}

/** Verbs on a kind, by its name in `/v1`. */
export type Permits = (verb: string, kind: string) => boolean

interface Permitted {
  resourcePermissions?: Record<string, Record<string, string>>
}

/** Objects whose permissions are asked for at once. */
const MOST_PERMITS = 1000

function permitsOf({ resourcePermissions }: Permitted): Permits {
  return (verb, kind) => resourcePermissions?.[kind]?.[verb] !== undefined
}

/** Of an object by its id; undefined while that is not known. */
type PermitsBy = (id: string) => Permits | undefined

/**
 * What may be done with some kinds where the objects of a path of the hub lie. Nothing is asked without a path; what
 * follows a blank in it only tells one time of asking from another.
 */
function usePermitted(path: () => string, kinds: string[]): ComputedRef<PermitsBy> {
  const found = useKept(
    () => `permits ${path()}`,
    async (key) => {
      const [, place = ''] = key.split(' ')
      if (place === '') return undefined
      const query = new URLSearchParams({ include: 'id', checkPermissions: kinds.join(','), pagesize: String(MOST_PERMITS) })
      type Answer = Permitted & { id: string; data?: (Permitted & { id: string })[] }
      const nothing: Answer = { id: '', data: [] }
      const answer = await request<Answer>('GET', `/v1/${place}?${query}`).catch(refusedAs(nothing))
      return new Map((answer.data ?? [answer]).map((one) => [one.id, permitsOf(one)]))
    },
  )
  const anything: Permits = () => true
  return computed<PermitsBy>(() => {
    const { answer, failed } = found.value
    const [known, isUnknown] = [answer.value, failed.value]
    return (id) => (known ? (known.get(id) ?? (() => false)) : isUnknown ? anything : undefined)
  })
}

const PREFIX = 'management.cattle.io'
/** Kinds of the hub that pages are about. */
const HUB_KINDS = ['users', 'globalroles', 'settings', 'features', 'clusters'].map((kind) => `${PREFIX}.${kind}`)

/** What a person may do on the hub itself, asked beside the person's own user; undefined while that is not known. */
export function useHubPermits(user: () => string): ComputedRef<Permits | undefined> {
  const found = usePermitted(() => (user() === '' ? '' : `${PREFIX}.users/${user()}`), HUB_KINDS)
  return computed(() => found.value(user()))
}

/** Where in a cluster the person may take in members and make projects. Before that is known, nowhere. */
export interface Places {
  projects: boolean
  /** Members of the whole cluster. */
  members: boolean
  /** Members of a project, by its id. */
  membersOf: (project: string) => boolean
}

/** `listed` are the projects that are asked about: of one that came since, nothing was told. */
export function usePlaces(cluster: () => string, listed: () => string[] = () => []): ComputedRef<Places> {
  const [projects, clusterMembers, projectMembers] = [
    `${PREFIX}.projects`,
    `${PREFIX}.clusterroletemplatebindings`,
    `${PREFIX}.projectroletemplatebindings`,
  ]
  const whole = usePermitted(() => (cluster() === '' ? '' : `${PREFIX}.clusters/${cluster()}`), [projects, clusterMembers])
  const parts = usePermitted(
    () => (listed().length === 0 ? '' : `${PREFIX}.projects/${cluster()} ${[...listed()].sort().join()}`),
    [projectMembers],
  )
  return computed(() => {
    const ofCluster = whole.value(cluster())
    return {
      projects: ofCluster?.('create', projects) ?? false,
      members: ofCluster?.('create', clusterMembers) ?? false,
      membersOf: (project) => parts.value(project.replace(':', '/'))?.('create', projectMembers) ?? false,
    }
  })
}

/** What is told to nobody but those who may see it is nothing. */
function refusedAs<T>(nothing: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof ApiError && [403, 404].includes(error.status)) return nothing
    throw error
  }
}
