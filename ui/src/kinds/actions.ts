/** What can be done with objects, from lists and from their pages. */

import type { Router } from 'vue-router'

import { download } from '@/app/clipboard'
import { ask, attempt, attemptEach, notify, type Findings } from '@/app/notices'
import type { MenuItem } from '@/components/menu'
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

export function redeploy(targets: Target[]): Promise<boolean> {
  const patch = restartPatch(new Date())
  return attemptEach(
    targets,
    ({ cluster, resource, namespace, name }) => patchObject(cluster, resource, namespace, name, patch),
    t.actions.redeployed(targets.length),
  )
}

export function setPaused(targets: Target[], paused: boolean): Promise<boolean> {
  // Merge patches remove what is null: an absent field is the default.
  const patch = { spec: { paused: paused || null } }
  const names = namesOf(targets)
  return attemptEach(
    targets,
    ({ cluster, resource, namespace, name }) => patchObject(cluster, resource, namespace, name, patch),
    paused ? t.actions.paused(names) : t.actions.resumed(names),
  )
}

export function scale(targets: Target[], replicas: number): Promise<boolean> {
  const names = namesOf(targets)
  return attemptEach(
    targets,
    ({ cluster, resource, namespace, name }) => patchObject(cluster, resource, namespace, name, { spec: { replicas } }, 'scale'),
    t.actions.scaled(names, replicas),
  )
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
  return attemptEach(
    targets,
    ({ cluster, resource, namespace, name }) => patchObject(cluster, resource, namespace, name, { spec: { suspend } }),
    suspend ? t.actions.suspended(targets.length) : t.actions.unsuspended(targets.length),
  )
}

/** Saves objects as one file of YAML, without what only the cluster knows. */
export function saveYaml(targets: Target[]): Promise<boolean> {
  return attempt(async () => {
    const { toYaml } = await import('@/lib/yaml')
    const objects = await Promise.all(
      targets.map(({ cluster, resource, namespace, name }) => getObject(cluster, resource, namespace || undefined, name)),
    )
    const [first] = targets
    const name = targets.length === 1 && first ? first.name : (first?.resource.plural ?? 'objects')
    download(`${name}.yaml`, objects.map(toYaml).join('---\n'), 'application/yaml')
  })
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
  return attemptEach(
    targets,
    ({ cluster, resource, namespace, name }) => deleteObject(cluster, resource, namespace || undefined, name),
    t.actions.deleted(targets.length),
  )
}

function label({ resource, namespace, name }: Target): string {
  return `${resource.kind} ${namespace === '' ? name : `${namespace}/${name}`}`
}

/** Opens the question for a number of replicas. */
export type StartScale = (targets: Target[]) => void

/** The menu of an object. */
export function menuOf(target: Target, router: Router, startScale: StartScale): MenuItem[] {
  const { cluster, resource, namespace, name } = target
  const go = (tab: string) => (): void => void router.push(paths.object(cluster, resource.id, namespace, name, tab))
  const items: MenuItem[] = []
  if (resource.id === 'pods') items.push({ label: t.object.logs, run: go('logs') }, { label: t.object.shell, run: go('shell') })
  if (SCALABLE.has(resource.id)) items.push({ label: t.actions.scale, run: () => startScale([target]) })
  if (ROLLING.has(resource.id)) items.push({ label: t.actions.redeploy, run: () => void redeploy([target]) })
  if (resource.id === 'deployments.apps') items.push(...pauses([target]))
  if (HAVE_REVISIONS.has(resource.id)) items.push({ label: t.object.revisions, run: go('revisions') })
  if (resource.id === 'cronjobs.batch') {
    items.push({ label: t.actions.runNow, run: () => void runNow(target, router) }, ...suspensions([target]))
  }
  items.push(
    { label: t.object.yaml, run: go('yaml'), line: items.length > 0 },
    { label: t.actions.saveYaml, run: () => void saveYaml([target]) },
    {
      label: t.actions.clone,
      run: () =>
        void router.push({ path: `/c/${cluster}/create`, query: { from: `${resource.id}/${namespace || '_'}/${name}` } }),
    },
    { label: t.actions.delete, run: () => void removeObjects([target]), danger: true, line: true },
  )
  return items
}

/** The menu for several objects at once. */
export function bulkMenu(targets: Target[], router: Router, startScale: StartScale): MenuItem[] {
  const every = (kinds: Set<string>): boolean => targets.every((target) => kinds.has(target.resource.id))
  const items: MenuItem[] = []
  if (every(PODS_ONLY)) items.push({ label: t.object.logs, run: () => showLogs(targets, router) })
  if (every(SCALABLE)) items.push({ label: t.actions.scale, run: () => startScale(targets) })
  if (every(ROLLING)) items.push({ label: t.actions.redeploy, run: () => void redeploy(targets) })
  if (every(DEPLOYMENTS_ONLY)) items.push(...pauses(targets))
  if (every(CRON_JOBS_ONLY)) items.push(...suspensions(targets))
  items.push(
    { label: t.actions.saveYaml, run: () => void saveYaml(targets), line: items.length > 0 },
    { label: t.actions.delete, run: () => void removeObjects(targets), danger: true, line: true },
  )
  return items
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
