import { expect, test } from 'vitest'

import { certificatesOf, daysLeft } from './certificate'

/** Made for this test by `openssl req -x509`; nobody has its key. */
const PEM = `
-----BEGIN CERTIFICATE-----
MIIB7DCCAZKgAwIBAgICAQIwCgYIKoZIzj0EAwIwMzELMAkGA1UEBhMCREUxDTAL
BgNVBAoMBFNob3AxFTATBgNVBAMMDHNob3AuZXhhbXBsZTAeFw0yNjExMzAwMjMx
NDdaFw0zNjExMjcwMjMxNDdaMDMxCzAJBgNVBAYTAkRFMQ0wCwYDVQQKDARTaG9w
MRUwEwYDVQQDDAxzaG9wLmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATVZ4rvz9qnGCJfbkD+VlPLiqaXJf9ECLi9V8YFeT+OG7zJ457BdRp5xj3skhpt
Tta5xJmFxO1pJa74wmOhANTSo4GVMIGSMB0GA1UdDgQWBBQbmqoUiZj7ZdO/WxOW
ReEED0QEqzAfBgNVHSMEGDAWgBQbmqoUiZj7ZdO/WxOWReEED0QEqzAPBgNVHRMB
Af8EBTADAQH/MD8GA1UdEQQ4MDaCDHNob3AuZXhhbXBsZYIOKi5zaG9wLmV4YW1w
bGWHBAoAAAeHEP0AAAAAAAAAAAAAAAAAAAEwCgYIKoZIzj0EAwIDSAAwRQIhAKGV
nid8NWJEZIkrJMcQVEvyfdPM8N9ZfKSbfDwCT5QuAiAxhAWr5gK6fDBHSSPrkmqf
OMFAxfk+Cu2NMvyUe/niZQ==
-----END CERTIFICATE-----
`

test('a certificate tells whose it is, for what and until when', () => {
  const [one, ...others] = certificatesOf(PEM)
  expect(others).toEqual([])
  expect(one).toMatchObject({
    subject: 'C=DE, O=Shop, CN=shop.example',
    issuer: 'C=DE, O=Shop, CN=shop.example',
    names: ['shop.example', '*.shop.example', '10.0.0.7', 'fd00::1'],
    serial: '01:02',
  })
  expect(one!.from.toISOString()).toBe('2026-11-30T02:31:47.000Z')
  expect(one!.until.toISOString()).toBe('2036-11-27T02:31:47.000Z')
  expect(daysLeft(one!, one!.until.getTime() - 86_400_000 * 3.5)).toBe(3)
  expect(daysLeft(one!, one!.until.getTime() + 1)).toBe(-1)
})

test('a chain is several, its own first', () => {
  expect(certificatesOf(PEM + PEM)).toHaveLength(2)
})

test('what is none is refused, however it is broken', () => {
  for (const wrong of ['', 'text', '-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----'])
    expect(() => certificatesOf(wrong), wrong).toThrow()
  const base64 = PEM.split('\n')
    .filter((line) => line !== '' && !line.startsWith('-'))
    .join('')
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  for (let length = 0; length < 200; length += 7) {
    const cut = btoa(String.fromCharCode(...bytes.subarray(0, length)))
    const pem = `-----BEGIN CERTIFICATE-----\n${cut}\n-----END CERTIFICATE-----`
    expect(() => certificatesOf(pem), String(length)).toThrow()
  }
})
