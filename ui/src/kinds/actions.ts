/** What can be done with objects, from lists and from their pages. */

import type { Router } from 'vue-router'

import { ask, attempt } from '@/app/notices'
import type { MenuItem } from '@/components/menu'
import { typeOf } from '@/data/explorer/query'
import { contentsOf, kindOf, ownedBy } from '@/data/explorer/relations'
import { deleteObject, patchObject } from '@/data/kubernetes/objects'
import { resources, type ApiResource } from '@/data/kubernetes/resources'
import { paths } from '@/lib/paths'
import { t } from '@/texts'

import { ROLLING, SCALABLE } from './index'
import { restartPatch } from './workload'

export interface Target {
  cluster: string
  resource: ApiResource
  namespace: string
  name: string
}

/** What goes along is looked up for at most so many objects at once. */
const LOOKED_UP = 10
/** Objects that are named for each. */
const MOST_NAMED = 30
/** Milliseconds that a question may wait for what goes along. */
const PATIENCE = 5000

export function redeploy(targets: Target[]): Promise<boolean> {
  return attempt(async () => {
    for (const one of targets) await patchObject(one.cluster, one.resource, one.namespace, one.name, restartPatch(new Date()))
  }, t.actions.redeployed(targets.length))
}

export function setPaused(target: Target, paused: boolean): Promise<boolean> {
  const { cluster, resource, namespace, name } = target
  // Merge patches remove what is null: an absent field is the default.
  const patch = { spec: { paused: paused || null } }
  return attempt(
    () => patchObject(cluster, resource, namespace, name, patch),
    paused ? t.actions.paused(name) : t.actions.resumed(name),
  )
}

export function scale(target: Target, replicas: number): Promise<boolean> {
  const { cluster, resource, namespace, name } = target
  return attempt(
    () => patchObject(cluster, resource, namespace, name, { spec: { replicas } }, 'scale'),
    t.actions.scaled(name, replicas),
  )
}

/** Asks, naming what goes along, and deletes. */
export async function removeObjects(targets: Target[]): Promise<boolean> {
  const along = await Promise.all(targets.slice(0, LOOKED_UP).map(goesAlong))
  const yes = await ask({
    title: t.actions.deleteTitle(targets.length),
    text: along.some((lines) => lines.length > 0) ? t.actions.deleteAlong : t.actions.deleteAlone,
    items: targets.flatMap((target, index) => [label(target), ...(along[index] ?? [])]),
    confirm: t.actions.delete,
    danger: true,
  })
  if (!yes) return false
  return attempt(async () => {
    for (const one of targets) await deleteObject(one.cluster, one.resource, one.namespace || undefined, one.name)
  }, t.actions.deleted(targets.length))
}

/** What an object owns; of a namespace how much is in it. */
async function goesAlong({ cluster, resource, namespace, name }: Target): Promise<string[]> {
  const signal = AbortSignal.timeout(PATIENCE)
  try {
    const served = await resources(cluster)
    if (resource.id === 'namespaces') {
      const found = await contentsOf(cluster, name, served, signal)
      return found.map(({ kind, count }) => t.actions.along(t.actions.within(kind, count)))
    }
    const owned = await ownedBy(cluster, typeOf(resource), namespace === '' ? name : `${namespace}/${name}`, signal)
    const lines = owned.slice(0, MOST_NAMED).map((one) => {
      const place = [one.namespace, one.name].filter(Boolean).join('/')
      return t.actions.along(`${kindOf(one.type, served)} ${place}`)
    })
    return owned.length > MOST_NAMED ? [...lines, t.actions.along(t.object.moreOwned(owned.length - MOST_NAMED))] : lines
  } catch {
    // The question is worth asking without them; the deletion itself will tell what is wrong.
    return []
  }
}

function label({ resource, namespace, name }: Target): string {
  return `${resource.kind} ${namespace === '' ? name : `${namespace}/${name}`}`
}

/** The menu of an object. `startScale` opens the question for a number. */
export function menuOf(target: Target, router: Router, startScale: (target: Target) => void): MenuItem[] {
  const { cluster, resource, namespace, name } = target
  const go = (tab: string) => (): void => void router.push(paths.object(cluster, resource.id, namespace, name, tab))
  const items: MenuItem[] = []
  if (resource.id === 'pods') items.push({ label: t.object.logs, run: go('logs') }, { label: t.object.shell, run: go('shell') })
  if (SCALABLE.has(resource.id)) items.push({ label: t.actions.scale, run: () => startScale(target) })
  if (ROLLING.has(resource.id)) items.push({ label: t.actions.redeploy, run: () => void redeploy([target]) })
  if (resource.id === 'deployments.apps') {
    items.push(
      { label: t.actions.pause, run: () => void setPaused(target, true) },
      { label: t.actions.resume, run: () => void setPaused(target, false) },
      { label: t.object.revisions, run: go('revisions') },
    )
  }
  items.push(
    { label: t.object.yaml, run: go('yaml'), line: items.length > 0 },
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
export function bulkMenu(targets: Target[]): MenuItem[] {
  const items: MenuItem[] = []
  if (targets.every((target) => ROLLING.has(target.resource.id)))
    items.push({ label: t.actions.redeploy, run: () => void redeploy(targets) })
  items.push({ label: t.actions.delete, run: () => void removeObjects(targets), danger: true, line: items.length > 0 })
  return items
}
