# What every search shares: it scores the search split on the fine-tuned supernet, within the
# space's budget.
val_dataloader = "{search_dataloader}"
val_cfg = dict(type="ValLoop")
val_evaluator = "{search_evaluator}"
search = dict(
    supernet="{experiment}/finetune/final.pth",
    score="{score}",
    budgets=[dict(cost="macs", upper="{macs_budget}")],
)
