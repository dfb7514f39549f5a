/** Texts in YAML as documents. Loaded with the editor only. Pure. */

import { isCollection, isScalar, LineCounter, parseAllDocuments, visit, type Document, type Node, type YAMLMap } from 'yaml'

/** A mistake in a text, from (included) to (excluded). */
export interface Mistake {
  from: number
  to: number
  message: string
}

export interface ReadDocument {
  document: Document
  mistakes: Mistake[]
}

/** The last text that was read: whoever asks about it asks several things. */
let last: { text: string; documents: ReadDocument[] } | undefined

/**
 * The documents of a text, each with what is wrong with it.
 *
 * The parser compares each key of a mapping with all those before it, which takes seconds for ten thousand of them; keys that
 * stand there twice are therefore found here.
 */
export function documentsOf(text: string): ReadDocument[] {
  if (last?.text === text) return last.documents
  const lines = new LineCounter()
  const parsed = parseAllDocuments(text, { uniqueKeys: false, lineCounter: lines })
  const documents = parsed.map((document) => ({
    document,
    mistakes: [
      ...document.errors.map(({ pos, message }) => ({
        from: pos[0],
        to: Math.min(text.length, Math.max(pos[0] + 1, pos[1])),
        message,
      })),
      ...keysTwice(document, lines),
    ],
  }))
  last = { text, documents }
  return documents
}

function keysTwice(document: Document, lines: LineCounter): Mistake[] {
  const mistakes: Mistake[] = []
  visit(document, {
    Map: (_, node) => {
      const keys = new Set<unknown>()
      for (const { key } of (node as YAMLMap<Node, Node | null>).items) {
        if (!isScalar(key)) continue
        const [from, to] = key.range ?? [0, 1]
        if (keys.has(key.value)) {
          const message = `Map keys must be unique: ${String(key.value)} at line ${lines.linePos(from).line}`
          mistakes.push({ from, to, message })
        }
        keys.add(key.value)
      }
    },
    // Only what holds others holds mappings.
    Pair: (_, { value }) => (isCollection(value) ? undefined : visit.SKIP),
  })
  return mistakes
}
