# 40 narrow blocks, of which all that keep the resolution may be skipped. Networks from 47.5M to
# 390M multiply-adds share one supernet; each budget is another search of it.
space = "elastic"
macs_budget = 300e6
