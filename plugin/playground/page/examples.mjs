// People to begin with. Who is no stranger to the tenant has no `tid` here: then it is the configuration's.
const vpnUsers = '44444444-4444-4444-8444-444444444444';
const ada = {
  email: 'ada@contoso.example',
  preferred_username: 'ada@contoso.example',
  given_name: 'Ada',
  family_name: 'Lovelace',
  name: 'Ada Lovelace',
  xms_edov: true,
};

/** By name: the button's words, and what is pasted. */
export const examples = {
  member: { label: 'A member', input: { ...ada, acct: 0, groups: [vpnUsers] } },
  guest: {
    label: 'A guest',
    input: {
      email: 'grace@partner.example',
      preferred_username: 'grace_partner.example#EXT#@contoso.example',
      name: 'Grace Hopper',
      acct: 1,
      groups: [vpnUsers],
    },
  },
  overage: {
    label: 'A member of too many groups for a token',
    input: {
      claims: {
        ...ada,
        acct: 0,
        _claim_names: { groups: 'src1' },
        _claim_sources: { src1: { endpoint: 'https://graph.windows.net/never-followed' } },
      },
      groups: [vpnUsers, '44444444-4444-4444-8444-000000000001'],
    },
  },
  personal: {
    label: 'A personal Microsoft account',
    input: {
      tid: '9188040d-6c67-4c5b-b112-36a304b66dad',
      email: 'alan@outlook.example',
      preferred_username: 'alan@outlook.example',
      name: 'Alan Turing',
    },
  },
};
