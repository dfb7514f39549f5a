/** A list of a kind as pages show it: its columns, and the rows that the server finds for the route's filter and order. */

import { computed, type ComputedRef } from 'vue'

import { useListRoute, type Sorting } from '@/components/listRoute'
import type { TableColumn } from '@/components/table'
import type { PagedList } from '@/data/explorer/list'
import { textFilters } from '@/data/explorer/query'
import type { ApiResource } from '@/data/kubernetes/resources'
import type { Column, Row } from '@/data/rows'
import { useColumnsOf, usePagedList, type ListQuery, type View } from '@/data/useList'

import { columnsOfList } from './columns'

export interface KindList {
  columns: ComputedRef<TableColumn<Row>[]>
  /** As the cluster names them. */
  cells: ComputedRef<Column[]>
  list: ComputedRef<PagedList | undefined>
  problem: ComputedRef<string>
}

/** `order` is the column to order by when nobody chose one. */
export function useKindList(
  query: () => ListQuery | undefined,
  ofKind: (kind: string) => ApiResource | undefined,
  order: () => string,
): KindList {
  const { filter, sorting } = useListRoute(order)
  const { columns: found, problem } = useColumnsOf(
    () => query()?.cluster ?? '',
    () => {
      const resource = query()?.resource
      return resource ? [resource] : []
    },
  )
  const cells = computed(() => found.value[0] ?? [])
  const columns = computed(() => {
    const one = query()
    return one ? columnsOfList({ cluster: one.cluster, resource: one.resource, ofKind }, cells.value) : []
  })
  const list = usePagedList(query, () => viewOf(columns.value, filter.value, sorting.value, cells.value.length > 0))
  return { columns, cells, list, problem }
}

/** Fields that a typed word may occur in. */
export function searchedFields(columns: TableColumn<Row>[]): string[] {
  return columns.flatMap((column) => (column.moving || !column.field ? [] : [column.field.replace(/^-/, '')]))
}

/** What the server is asked for; undefined while that depends on columns that are not known yet. */
export function viewOf(
  columns: TableColumn<Row>[],
  filter: string,
  sorting: Sorting | undefined,
  areKnown: boolean,
): View | undefined {
  const by = columns.find((column) => column.id === sorting?.id)
  if (!areKnown && (filter.trim() !== '' || (sorting && !by))) return undefined
  return {
    filters: textFilters(filter, searchedFields(columns)),
    sort: by?.field ? sortOf(by.field, sorting?.descending === true) : '',
  }
}

function sortOf(field: string, descending: boolean): string {
  const flipped = field.startsWith('-')
  return `${descending === flipped ? '' : '-'}natural(${field.replace(/^-/, '')})`
}
