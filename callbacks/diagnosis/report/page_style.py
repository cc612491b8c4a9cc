"""The style sheet of the HTML page of a report."""

STYLE = """
.kerascope { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 44rem;
  margin: 0 auto; padding: .6rem; box-sizing: border-box; color-scheme: light; }
.kerascope h1 { font-size: 1.3rem; line-height: 1.35; margin: .3rem 0 .8rem; }
.kerascope h2 { font-size: 1.1rem; line-height: 1.35; margin: .2rem 0 .5rem; }
.kerascope h3 { font-size: 1rem; margin: 1rem 0 .2rem; }
.kerascope p { margin: .2rem 0; }
.kerascope section { border: 1px solid #d5dae0; border-left: 6px solid #9aa5b1;
  border-radius: 6px; padding: .8rem 1rem; margin: .8rem 0; background: #fff;
  overflow-wrap: anywhere; --tone: #5b6672; }
.kerascope .error { border-left-color: #c0392b; --tone: #c0392b; }
.kerascope .warning { border-left-color: #b86e00; --tone: #b86e00; }
.kerascope .healthy { border-left-color: #2e8b57; --tone: #23794a; }
.kerascope .badge { background: var(--tone); color: #fff; font-size: .8rem;
  font-weight: 600; border-radius: 4px; padding: .1rem .5rem; margin-right: .2rem;
  vertical-align: .12em; white-space: nowrap; }
.kerascope ul, .kerascope ol { margin: .2rem 0 .5rem; padding-left: 1.3rem; }
.kerascope code { font: .85rem/1.45 ui-monospace, monospace; background: #f2f4f6;
  border-radius: 4px; padding: .1rem .3rem; }
.kerascope pre { background: #f2f4f6; border-radius: 4px; padding: .6rem;
  margin: .3rem 0 .6rem; white-space: pre-wrap; }
.kerascope pre code { background: none; padding: 0; }
.kerascope ol a { color: inherit; }
.kerascope figure { margin: .8rem 0; }
.kerascope img { display: block; width: 100%; max-width: 36rem; height: auto; }
.kerascope figcaption, .kerascope .small { color: #4d5761; font-size: .88rem; }
"""
