/** The columns of a list of a kind, from what the cluster says about them. */

import { phone } from '@/app/media'
import { now } from '@/app/now'
import type { TableColumn } from '@/components/table'
import type { ApiResource } from '@/data/kubernetes/resources'
import type { Column, Row } from '@/data/rows'
import { age, duration, parseDuration } from '@/lib/age'
import { moment } from '@/lib/moment'
import { paths } from '@/lib/paths'
import { cellTone } from '@/lib/tone'
import { t } from '@/texts'

const AGE_WIDTH = 84

/** Columns that tell most; the first of them that a kind has is shown on a phone. */
const TELLING = ['Message', 'Status', 'Ready', 'Completions', 'Type']

export interface ListContext {
  cluster: string
  resource: ApiResource
  /** Finds the resource of a kind written in lower case, for links to what an event is about. */
  ofKind: (kind: string) => ApiResource | undefined
}

export function columnsOfList(context: ListContext, columns: Column[]): TableColumn<Row>[] {
  const { resource } = context
  const named = columns.map((column, index) => ({ column, index }))
  const own = named.filter(({ column }) => column.name !== 'Name' && column.name !== 'Namespace')
  const telling = TELLING.find((name) => columns.some((column) => column.name === name))
  const cells = own.map(({ column, index }) => cellColumn(context, column, index, telling))
  const namespace = resource.namespaced ? [namespaceColumn()] : []
  if (resource.plural === 'events') {
    const named = (name: string): TableColumn<Row> | undefined => cells.find((column) => column.name === name)
    const message = named('Message')
    if (phone.value && message) {
      const told = ['Last Seen', 'Reason', 'Object'].flatMap((name) => named(name) ?? [])
      message.under = (row) => told.map((column) => column.text(row)).join(' · ')
      if (named('Object')?.to) message.to = named('Object')!.to!
      return [message, ...cells.filter((column) => column !== message)]
    }
    return [...cells.slice(0, 3), ...namespace, ...cells.slice(3)]
  }
  return [nameColumn(context), ...namespace, ...cells]
}

function nameColumn({ cluster, resource }: ListContext): TableColumn<Row> {
  return {
    id: 'name',
    name: t.columns.name,
    field: 'metadata.name',
    text: (row) => row.name,
    to: (row) => paths.object(cluster, resource.id, row.namespace, row.name),
    phone: true,
    ...(resource.namespaced ? { under: (row: Row) => row.namespace } : {}),
  }
}

export function namespaceColumn<T extends { namespace: string }>(): TableColumn<T> {
  return { id: 'namespace', name: t.columns.namespace, field: 'metadata.namespace', text: (row) => row.namespace }
}

export function ageColumn<T>(timestamp: (row: T) => string | undefined): TableColumn<T> {
  return {
    id: 'age',
    name: t.columns.age,
    // Older first reads as a larger age.
    field: '-metadata.creationTimestamp',
    text: (row) => age(timestamp(row), now.value),
    hint: (row) => moment(timestamp(row)),
    order: (row) => -Date.parse(timestamp(row) ?? '') || 0,
    width: AGE_WIDTH,
    moving: true,
  }
}

function cellColumn(context: ListContext, column: Column, index: number, telling: string | undefined): TableColumn<Row> {
  if (column.name === 'Age' || column.name === 'Created At') return ageColumn((row) => row.metadata.creationTimestamp)
  const text = (row: Row): string => (isAge(column) ? agedText(row, index, now.value) : cellText(row.cells[index]))
  const { plural } = context.resource
  const shaped: TableColumn<Row> = {
    id: column.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'),
    name: column.name,
    title: column.description,
    field: `${isAge(column) ? '-' : ''}metadata.fields[${index}]`,
    text,
    moving: isAge(column),
    tone: (row) => cellTone(plural, column.name, row.cells[index]),
    wide: column.wide,
    phone: column.name === telling,
    grow: plural === 'events' && column.name === 'Message',
  }
  if (plural === 'events' && column.name === 'Object') shaped.to = (row) => involved(context, row, text(row))
  return shaped
}

function involved({ cluster, ofKind }: ListContext, row: Row, object: string): ReturnType<typeof paths.object> | undefined {
  const [kind = '', name = ''] = object.split('/')
  const resource = ofKind(kind)
  return resource && name !== ''
    ? paths.object(cluster, resource.id, resource.namespaced ? row.namespace : undefined, name)
    : undefined
}

function cellText(cell: unknown): string {
  if (cell === null || cell === undefined) return ''
  return typeof cell === 'object' ? JSON.stringify(cell) : String(cell)
}

/** An age as it is by now: the cell says how old it was when it was read. */
export function agedText(row: Row, index: number, now: number): string {
  const then = parseDuration(cellText(row.cells[index]))
  return then === undefined ? cellText(row.cells[index]) : duration(then + Math.max(0, now - row.read) / 1000)
}

/** Whether cells are ages, which the server keeps as the time they count from. */
function isAge({ name, type }: Column): boolean {
  return type === 'date' || /^(last seen|first seen|last schedule)$/i.test(name)
}
