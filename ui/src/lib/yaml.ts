/** Objects as YAML for people, and back. Loaded with the editor only. */

import { isCollection, isPair, isScalar, stringify, type Node } from 'yaml'

import type { KubernetesObject } from '@/data/kubernetes/objects'

import { documentsOf } from './documents'

/** What the server keeps for itself is left out. */
export function toYaml(value: unknown): string {
  return stringify(withoutManagedFields(value), { lineWidth: 0, aliasDuplicateObjects: false })
}

/** The objects in a text, which may hold several documents; fails with a message that names the line. */
export function fromYaml(text: string): KubernetesObject[] {
  const objects: KubernetesObject[] = []
  for (const { document, mistakes } of documentsOf(text)) {
    const [mistake] = mistakes
    if (mistake) throw new Error(mistake.message)
    const value = document.toJS({ maxAliasCount: 100 }) as unknown
    if (value === null || value === undefined) continue
    if (!isObject(value)) throw new Error('An object needs apiVersion, kind and metadata.name.')
    objects.push(value)
  }
  return objects
}

/**
 * Where the field of a name such as `spec.containers[0].image` or `metadata.labels[a/b]` stands in a text of one document:
 * as much of it as is there, so that what is missing is marked where it belongs. The whole text without any of it.
 */
export function placeOf(text: string, field: string): { from: number; to: number } {
  const [first] = documentsOf(text)
  const whole = { from: 0, to: text.length }
  if (!first) return whole
  let node: unknown = first.document.contents
  let place = whole
  for (const step of stepsOf(field)) {
    if (!isCollection(node)) break
    const item: unknown = node.items.find((one, at) =>
      isPair(one) ? isScalar(one.key) && String(one.key.value) === step : String(at) === step,
    )
    if (item === undefined) break
    const at = isPair(item) ? item.key : item
    node = isPair(item) ? item.value : item
    const range = (at as Node).range
    if (range) place = { from: range[0], to: range[1] }
  }
  return place
}

function stepsOf(field: string): string[] {
  return [...field.matchAll(/\[([^\]]*)\]|[^.[\]]+/g)].map(([step, inBrackets]) => inBrackets ?? step)
}

/** Fields in the order people expect: the server's own are last. */
function withoutManagedFields(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return value
  const { managedFields: _, ...metadata } = (value as { metadata: Record<string, unknown> }).metadata
  return { ...value, metadata }
}

function isObject(value: unknown): value is KubernetesObject {
  if (typeof value !== 'object' || value === null) return false
  const { apiVersion, kind, metadata } = value as Partial<KubernetesObject>
  return typeof apiVersion === 'string' && typeof kind === 'string' && typeof metadata === 'object' && metadata !== null
}
