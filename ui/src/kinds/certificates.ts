/** Columns of the list of certificates: for whom they are good, and for how long. Loaded where that list is shown. */

import { now } from '@/app/now'
import type { TableColumn } from '@/components/table'
import type { Row } from '@/data/rows'
import { decodeBase64 } from '@/lib/base64'
import { certificatesOf, daysLeft, toneOfDays, type Certificate } from '@/lib/certificate'
import { t } from '@/texts'

/** Each is read once. */
const read = new WeakMap<Row, { certificate: Certificate | undefined }>()

/** The server's own certificate; nothing where the Secret holds none that can be read. */
function certificateOf(row: Row): Certificate | undefined {
  const known = read.get(row)
  if (known) return known.certificate
  let certificate: Certificate | undefined
  try {
    certificate = certificatesOf(decodeBase64(row.data?.['tls.crt'] ?? ''))[0]
  } catch {
    certificate = undefined
  }
  read.set(row, { certificate })
  return certificate
}

export const certificateColumns: TableColumn<Row>[] = [
  {
    id: 'good-for',
    name: t.certificate.names,
    text: (row) => {
      const one = certificateOf(row)
      return one ? one.names.join(', ') || one.subject : t.certificate.none
    },
    unordered: true,
    grow: true,
  },
  {
    id: 'valid',
    name: t.certificate.validity,
    text: (row) => {
      const one = certificateOf(row)
      return one ? t.certificate.left(daysLeft(one, now.value)) : ''
    },
    tone: (row) => {
      const one = certificateOf(row)
      return one && toneOfDays(daysLeft(one, now.value))
    },
    unordered: true,
    moving: true,
    phone: true,
    width: 140,
  },
]
