/**
 * Every text of the UI.
 *
 * Another language is another object of the type `Texts`; the choice is made
 * here, before the pages are loaded.
 */

import { en } from './en'

export type Texts = typeof en

export const t: Texts = en
