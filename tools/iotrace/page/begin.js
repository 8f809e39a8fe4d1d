// begin.js — all of the page's script is one function, so that it has no global names. main.js ends it.
(() => {
'use strict';
const element = id => document.getElementById(id);
