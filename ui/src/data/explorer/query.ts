/** The language of `/v1` lists: paths, filters, order, what is answered. Pure. */

import type { ObjectMeta } from '@/data/kubernetes/objects'
import type { ApiResource } from '@/data/kubernetes/resources'
import { rowId, type Column, type Row } from '@/data/rows'

/** Which objects: what stays the same while a person filters and orders. */
export interface ListQuery {
  cluster: string
  resource: ApiResource
  /** Only these namespaces or projects; all that may be seen when empty. */
  namespaces: string[]
  labelSelector?: string
  fieldSelector?: string
  /** Filters that hold whatever else is asked for. */
  always?: string[]
  /** More of the objects than rows need: `metadata.annotations`. */
  include?: string[]
}

/** How they are narrowed down and ordered: fields as the server names them. */
export interface View {
  /** All must hold; terms of one are separated by commas. */
  filters: string[]
  sort: string
}

export const EVERYTHING: View = { filters: [], sort: '' }

/** One object of a collection, as far as rows ask for it. */
export interface ExplorerObject {
  id: string
  metadata: ObjectMeta & { fields?: unknown[] | null }
  data?: Record<string, string>
}

export interface Collection {
  count?: number
  revision?: string
  data: ExplorerObject[]
}

/** A column of a schema. */
export interface SchemaColumn {
  name: string
  type: string
  description?: string
  priority?: number
}

const ROW = [
  'id',
  'metadata.name',
  'metadata.namespace',
  'metadata.creationTimestamp',
  'metadata.resourceVersion',
  'metadata.fields',
]

/** Where `/v1` of a cluster begins. */
export function base(cluster: string): string {
  return `/k8s/clusters/${encodeURIComponent(cluster)}/v1`
}

/** `pod`, `apps.deployment`: the type's id. */
export function typeOf({ group, kind }: ApiResource): string {
  return `${group === '' ? '' : `${group}.`}${kind.toLowerCase()}`
}

/** The path of a part of a list. */
export function listPath(query: ListQuery, view: View, page: { number: number; size: number }): string {
  const { cluster, resource, namespaces, labelSelector, fieldSelector, always = [], include = [] } = query
  const pairs: [string, string][] = [
    ['page', String(page.number)],
    ['pagesize', String(page.size)],
    ...[...always, ...view.filters].map((filter): [string, string] => ['filter', filter]),
    ...[...ROW, ...include].map((path): [string, string] => ['include', path]),
  ]
  if (view.sort) pairs.push(['sort', view.sort])
  if (namespaces.length > 0) pairs.push(['projectsornamespaces', namespaces.join(',')])
  if (labelSelector) pairs.push(['labelSelector', labelSelector])
  if (fieldSelector) pairs.push(['fieldSelector', fieldSelector])
  const plural = resource.group === '' ? resource.plural : `${resource.group}.${resource.plural}`
  return `${base(cluster)}/${plural}?${new URLSearchParams(pairs)}`
}

/** A value of a filter, whatever signs it holds; `undefined` when the language cannot say it. */
export function quoted(value: string): string | undefined {
  const quote = ['"', "'"].find((one) => !value.includes(one))
  return quote && `${quote}${value}${quote}`
}

/** Filters for text that a person typed: each word must occur in one of the fields. */
export function textFilters(text: string, fields: string[]): string[] {
  if (fields.length === 0) return []
  return text
    .split(/\s+/)
    .flatMap((word) => quoted(word) ?? [])
    .filter((word) => word.length > 2)
    .map((word) => fields.map((field) => `${field}~${word}`).join(','))
}

/** A filter for single objects. */
export function idFilter(ids: string[]): string {
  return `id in (${ids.flatMap((id) => quoted(id) ?? []).join(',')})`
}

export function columnsOf(columns: SchemaColumn[]): Column[] {
  return columns.map((column, index) => ({
    id: `${index}-${column.name}`,
    name: column.name,
    description: column.description ?? '',
    type: column.type,
    wide: (column.priority ?? 0) > 0,
  }))
}

export function rowOf({ metadata: { fields, ...metadata }, data }: ExplorerObject, read: number): Row {
  const { name, namespace = '' } = metadata
  return { id: rowId(metadata), name, namespace, metadata, cells: fields ?? [], read, ...(data ? { data } : {}) }
}
