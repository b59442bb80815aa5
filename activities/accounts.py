"""What an account does outside itself: read its customer's terms, and say what it owes."""

from dataclasses import dataclass

from temporalio import activity

from activities.calls import AccountTold, OpenAccount, TellAccount
from activities.policies import Policies
from activities.steps import Teller
from sla import names
from sla.customer import Customer
from sla.perform import choose_account, done
from sla.roster import Roster
from sla.standing import AccountTerms


@dataclass
class AccountActivities:
    """Needs the policies, and somebody who tells."""

    policies: Policies
    teller: Teller

    @activity.defn(name=names.OPEN_ACCOUNT)
    async def open_account(self, asked: OpenAccount) -> AccountTerms:
        """What the contracts of the customer's lines say of payments."""
        await self.policies.fresh(at_once=True)
        return self.policies.terms(asked.customer, asked.contract, asked.at or activity.info().scheduled_time)

    @activity.defn(name=names.TELL_ACCOUNT)
    async def tell_account(self, asked: TellAccount) -> AccountTold:
        """Say what the account owes, and with it what its incidents have put by."""
        await self.policies.fresh()
        known = self.policies.customer(asked.customer) or Customer(id=names.canonical(asked.customer))
        roster = Roster.around(self.policies.team(), asked.steps[0].at)
        chosen = choose_account(asked.steps, roster, known.payers())
        await self.teller.tell_account(asked, chosen, activity.info().attempt, activity.heartbeat)
        return AccountTold(outcomes=tuple(done(step, outcome) for step, outcome in chosen))

    @activity.defn(name=names.SWEEP_BUNDLES)
    async def sweep_bundles(self) -> int:
        """Send what incidents put by and no account came for; how many messages went out."""
        return await self.teller.sweep_bundles()
