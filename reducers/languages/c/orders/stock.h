// The stock of one article: what is there, and how much of it each order holds.
#ifndef ORDERS_STOCK_H
#define ORDERS_STOCK_H

#include "domain.h"

/// Goods came in, and lie where they were put now.
bool arrive(const context_t *context, stock_t stock, const shop_orders_domain_arrived_t *event, transition_t *decided);
/// An order asks for some of it.
bool reserve(const context_t *context, stock_t stock, const shop_orders_domain_reserve_t *request, transition_t *decided, rejection_t *why);
/// An order takes what it holds, or lets it go.
bool settle(const context_t *context, stock_t stock, const shop_orders_domain_settle_t *settle, transition_t *decided, rejection_t *why);

#endif
