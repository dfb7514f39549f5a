/** English. Texts with numbers or names are functions, so that each language orders them its own way. */

import { clusters } from './en/clusters'
import { frame } from './en/frame'
import { objects } from './en/objects'
import { people } from './en/people'

export const en = { ...frame, ...clusters, ...objects, ...people }
