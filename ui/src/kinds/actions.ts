/** What can be done with objects, from lists and from their pages. */

import type { Router } from 'vue-router'

import { download } from '@/app/clipboard'
import { ask, attempt, notify, type Findings } from '@/app/notices'
import { runEach, type Words } from '@/app/runs'
import type { MenuItem } from '@/components/menu'
import type { Methods } from '@/data/explorer/rights'
import { createObject, deleteObject, getObject, JOBS, patchObject } from '@/data/kubernetes/objects'
import type { ApiResource } from '@/data/kubernetes/resources'
import { HAVE_REVISIONS } from '@/data/kubernetes/revisions'
import { paths } from '@/lib/paths'
import { t } from '@/texts'

import { blastOf } from './blast'
import { ROLLING, SCALABLE } from './index'
import { jobOf, restartPatch } from './workload'

export interface Target {
  cluster: string
  resource: ApiResource
  namespace: string
  name: string
  /** What may be done with objects of the kind; everything when absent. */
  may?: Methods
}

/** What goes along is looked up for at most so many objects at once. */
const LOOKED_UP = 10

/** A few of them by name. */
function namesOf(targets: Target[]): string {
  const some = targets
    .slice(0, 3)
    .map((one) => one.name)
    .join(', ')
  return targets.length > 3 ? t.scope.andMore(some, targets.length - 3) : some
}

/** Does the same with each; in messages they go by where they are. */
function eachTarget(
  targets: Target[],
  work: (target: Target) => Promise<unknown>,
  words: Words,
  after?: () => void,
): Promise<boolean> {
  const named = targets.map((target) => ({ name: idOf(target), target }))
  return runEach(named, ({ target }) => work(target), words, after)
}

function change(targets: Target[], patch: object, words: Words, subresource = ''): Promise<boolean> {
  return eachTarget(
    targets,
    ({ cluster, resource, namespace, name }) => patchObject(cluster, resource, namespace, name, patch, subresource),
    words,
  )
}

export function redeploy(targets: Target[]): Promise<boolean> {
  const words = { doing: t.actions.redeploying, done: t.actions.redeployed(targets.length) }
  return change(targets, restartPatch(new Date()), words)
}

export function setPaused(targets: Target[], paused: boolean): Promise<boolean> {
  const names = namesOf(targets)
  const words = paused
    ? { doing: t.actions.pausing, done: t.actions.paused(names) }
    : { doing: t.actions.resuming, done: t.actions.resumed(names) }
  // Merge patches remove what is null: an absent field is the default.
  return change(targets, { spec: { paused: paused || null } }, words)
}

export function scale(targets: Target[], replicas: number): Promise<boolean> {
  const words = { doing: t.actions.scaling, done: t.actions.scaled(namesOf(targets), replicas) }
  return change(targets, { spec: { replicas } }, words, 'scale')
}

/** Runs a CronJob once, outside of its schedule. */
export async function runNow(target: Target, router: Router): Promise<void> {
  const { cluster, resource, namespace, name } = target
  await attempt(async () => {
    const job = await createObject(cluster, JOBS, jobOf(await getObject(cluster, resource, namespace, name), new Date()))
    notify(t.actions.started(job.metadata.name))
    await router.push(paths.object(cluster, 'jobs.batch', namespace, job.metadata.name))
  })
}

export function setSuspended(targets: Target[], suspend: boolean): Promise<boolean> {
  const done = suspend ? t.actions.suspended(targets.length) : t.actions.unsuspended(targets.length)
  return change(targets, { spec: { suspend } }, { doing: t.actions.suspending, done })
}

/** Saves objects as one file of YAML, without what only the cluster knows. */
export function saveYaml(targets: Target[]): Promise<boolean> {
  const read = new Map<Target, string>()
  const [first] = targets
  const name = targets.length === 1 && first ? first.name : (first?.resource.plural ?? 'objects')
  return eachTarget(
    targets,
    async (target) => {
      const { cluster, resource, namespace } = target
      const { toYaml } = await import('@/lib/yaml')
      read.set(target, toYaml(await getObject(cluster, resource, namespace || undefined, target.name)))
    },
    { doing: t.actions.savingYaml, done: '' },
    () => download(`${name}.yaml`, targets.map((target) => read.get(target) ?? '').join('---\n'), 'application/yaml'),
  )
}

/** What a deletion takes along, and what would miss it. */
async function concernedBy(targets: Target[]): Promise<Findings> {
  const blasts = await Promise.all(targets.slice(0, LOOKED_UP).map(blastOf))
  const any = (of: 'along' | 'users'): boolean => blasts.some((blast) => blast[of].length > 0)
  const text = [
    t.actions.deleteAlone,
    any('along') ? t.actions.deleteAlong : '',
    any('users') ? t.actions.deleteUsed : '',
    blasts.every((blast) => blast.known) ? '' : t.actions.deleteUnknown,
    targets.length > LOOKED_UP ? t.actions.deleteFirst(LOOKED_UP) : '',
  ]
  return {
    text: text.filter(Boolean).join(' '),
    items: targets.flatMap((target, index) => [
      label(target),
      ...(blasts[index]?.along ?? []).map(t.actions.along),
      ...(blasts[index]?.users ?? []).map(t.actions.usedBy),
    ]),
  }
}

/** Asks, naming what is concerned, and deletes. */
export async function removeObjects(targets: Target[]): Promise<boolean> {
  const title = t.actions.deleteTitle(namesOf(targets), targets.length)
  const yes = await ask(
    { title, text: t.actions.deleteAlone, items: targets.map(label), confirm: t.actions.delete, danger: true },
    concernedBy(targets),
  )
  if (!yes) return false
  return eachTarget(
    targets,
    ({ cluster, resource, namespace, name }) => deleteObject(cluster, resource, namespace || undefined, name),
    { doing: t.actions.deleting, done: t.actions.deleted(targets.length) },
  )
}

function idOf({ namespace, name }: Target): string {
  return namespace === '' ? name : `${namespace}/${name}`
}

function label(target: Target): string {
  return `${target.resource.kind} ${idOf(target)}`
}

/** Opens the question for a number of replicas. */
export type StartScale = (targets: Target[]) => void

/** What the person may not do anywhere is not offered; the rest is decided when it is done. */
const mayChange = (targets: Target[]): boolean => targets.every(({ may }) => may?.change !== false)
const mayRemove = (targets: Target[]): boolean => targets.every(({ may }) => may?.remove !== false)

/** The menu of an object. */
export function menuOf(target: Target, router: Router, startScale: StartScale): MenuItem[] {
  const { cluster, resource, namespace, name } = target
  const go = (tab: string) => (): void => void router.push(paths.object(cluster, resource.id, namespace, name, tab))
  const items: MenuItem[] = []
  if (resource.id === 'pods') items.push({ label: t.object.logs, run: go('logs') }, { label: t.object.shell, run: go('shell') })
  if (resource.id === 'cronjobs.batch') items.push({ label: t.actions.runNow, run: () => void runNow(target, router) })
  if (mayChange([target])) items.push(...changesOf([target], startScale))
  if (HAVE_REVISIONS.has(resource.id)) items.push({ label: t.object.revisions, run: go('revisions') })
  items.push(
    { label: t.object.yaml, run: go('yaml'), line: items.length > 0 },
    { label: t.actions.saveYaml, run: () => void saveYaml([target]) },
  )
  if (target.may?.create !== false) {
    const from = `${resource.id}/${namespace || '_'}/${name}`
    items.push({ label: t.actions.clone, run: () => void router.push({ path: `/c/${cluster}/create`, query: { from } }) })
  }
  if (mayRemove([target])) items.push(removal([target]))
  return items
}

/** The menu for several objects at once. */
export function bulkMenu(targets: Target[], router: Router, startScale: StartScale): MenuItem[] {
  const items: MenuItem[] = []
  if (every(targets, PODS_ONLY)) items.push({ label: t.object.logs, run: () => showLogs(targets, router) })
  if (mayChange(targets)) items.push(...changesOf(targets, startScale))
  items.push({ label: t.actions.saveYaml, run: () => void saveYaml(targets), line: items.length > 0 })
  if (mayRemove(targets)) items.push(removal(targets))
  return items
}

function every(targets: Target[], kinds: Set<string>): boolean {
  return targets.every((target) => kinds.has(target.resource.id))
}

/** Changes that all of them can take. */
function changesOf(targets: Target[], startScale: StartScale): MenuItem[] {
  const items: MenuItem[] = []
  if (every(targets, SCALABLE)) items.push({ label: t.actions.scale, run: () => startScale(targets) })
  if (every(targets, ROLLING)) items.push({ label: t.actions.redeploy, run: () => void redeploy(targets) })
  if (every(targets, DEPLOYMENTS_ONLY)) items.push(...pauses(targets))
  if (every(targets, CRON_JOBS_ONLY)) items.push(...suspensions(targets))
  return items
}

function removal(targets: Target[]): MenuItem {
  return { label: t.actions.delete, run: () => void removeObjects(targets), danger: true, line: true }
}

const PODS_ONLY = new Set(['pods'])
const DEPLOYMENTS_ONLY = new Set(['deployments.apps'])
const CRON_JOBS_ONLY = new Set(['cronjobs.batch'])

function pauses(targets: Target[]): MenuItem[] {
  return [
    { label: t.actions.pause, run: () => void setPaused(targets, true) },
    { label: t.actions.resume, run: () => void setPaused(targets, false) },
  ]
}

function suspensions(targets: Target[]): MenuItem[] {
  return [
    { label: t.actions.suspend, run: () => void setSuspended(targets, true) },
    { label: t.actions.unsuspend, run: () => void setSuspended(targets, false) },
  ]
}

function showLogs(targets: Target[], router: Router): void {
  const [first] = targets
  if (!first) return
  const pods = targets.map((one) => `${one.namespace}/${one.name}`).join(',')
  void router.push({ path: paths.logs(first.cluster), query: { pods } })
}
